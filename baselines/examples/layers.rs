//! The arithmetic and the memory traffic of each layer of the U-Net and of U-T&T, and what a GPU can reach with them.
//!
//! `cargo run --release -p flair-baselines --example layers`
//!
//! Channels and kernels are those of the built network's weights; sizes are those of maps that it computed. A weight
//! that no layer counts is an error, so that a changed network cannot leave the table behind.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use candle_core::{DType, Device, Result, Tensor, bail};
use flair_baselines::{
    config::Config,
    models::Network,
    nn::{Kind, Map, Mode},
};

/// Acquisitions of a series after monthly averages.
const DATES: usize = 12;
/// Sides of the aerial image and of the super-patch, in pixels.
const PATCH: usize = 512;
const SUPER_PATCH: usize = 40;
/// Weights that the forward pass never reads: the fusion with the image itself, and a head whose output is unused.
const UNUSED: [&str; 3] =
    ["fm_utae_featmap_cropped.conv_list.0.", "fm_utae_featmap_collapsed.mlps.0.", "arch_hr.out_conv."];

/// The published peaks of a GPU without sparsity: 10¹² operations a second, and 10¹² bytes a second.
struct Gpu {
    name: &'static str,
    /// f32 on the CUDA cores; TF32 and BF16 on the tensor cores, with sums in f32.
    peaks: [f64; 3],
    bandwidth: f64,
}

const GPUS: [Gpu; 4] = [
    Gpu { name: "A100 80GB SXM", peaks: [19.5, 156.0, 312.0], bandwidth: 2.039 },
    Gpu { name: "H100 SXM", peaks: [66.9, 494.7, 989.4], bandwidth: 3.35 },
    Gpu { name: "H200 SXM", peaks: [66.9, 494.7, 989.4], bandwidth: 4.8 },
    Gpu { name: "RTX 4090", peaks: [82.6, 82.6, 165.2], bandwidth: 1.008 },
];
/// Bytes of a value in f32, TF32 and BF16.
const BYTES: [f64; 3] = [4.0, 4.0, 2.0];

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Norm {
    None,
    /// Folded into the convolution in prediction.
    Batch,
    /// Depends on the image, so that it is a pass of its own in prediction too.
    Group,
}

/// A layer with what follows it, for one patch. Sizes are numbers of values.
#[derive(Clone, Debug)]
struct Layer {
    name: String,
    /// For the table.
    shapes: (String, String),
    input: usize,
    output: usize,
    weights: usize,
    /// Multiplications and additions of the forward pass: two for each product.
    operations: usize,
    norm: Norm,
    has_rectifier: bool,
    /// Whether another map of the output's shape is added.
    has_sum: bool,
    /// Whether the input is padded by reflection, which no convolution does itself.
    is_reflected: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pass {
    Predict,
    Train,
}

impl Layer {
    /// The kernels that the GPU runs for a batch: operations, and values read and written.
    fn kernels(&self, batch: f64, pass: Pass) -> Vec<(f64, f64)> {
        let [x, y] = [self.input, self.output].map(|values| values as f64 * batch);
        let (w, operations) = (self.weights as f64, self.operations as f64 * batch);
        let (has_norm, is_group) = (self.norm != Norm::None, self.norm == Norm::Group);
        let mut kernels = Vec::new();
        let mut add = |there: bool, operations: f64, values: f64| {
            if there {
                kernels.push((operations, values));
            }
        };
        add(self.is_reflected, 0.0, 2.0 * x);
        match pass {
            Pass::Predict => {
                // The convolution reads the other summand where it writes the output, and rectifies.
                add(true, operations, x + w + y + if self.has_sum { y } else { 0.0 });
                // A group norm reads its input twice, for the statistics and for the result.
                add(is_group, 0.0, 3.0 * y);
                add(is_group && self.has_rectifier, 0.0, 2.0 * y);
            }
            Pass::Train => {
                add(true, operations, x + w + y);
                add(has_norm, 0.0, 3.0 * y);
                add(self.has_sum, 0.0, 3.0 * y);
                add(self.has_rectifier, 0.0, 2.0 * y);
                // Backward: the rectifier reads gradient and output; the gradients of both ways are added where they
                // meet; the norm reads input and gradient twice; then the gradients of input and weights.
                add(self.has_rectifier, 0.0, 3.0 * y);
                add(self.has_sum, 0.0, 3.0 * y);
                add(has_norm, 0.0, 5.0 * y);
                add(true, operations, y + w + x);
                add(self.weights > 0, operations, x + y + w);
                // Plain SGD: weight and gradient in, weight out.
                add(self.weights > 0, 0.0, 3.0 * w);
                add(self.is_reflected, 0.0, 2.0 * x);
            }
        }
        kernels
    }
}

/// Seconds of `layers` for a batch where each kernel takes the longer of its arithmetic and its traffic.
fn seconds(layers: &[Layer], batch: usize, pass: Pass, gpu: &Gpu, precision: usize) -> f64 {
    let kernels = layers.iter().flat_map(|layer| layer.kernels(batch as f64, pass));
    let of_kernel = |(operations, values): (f64, f64)| {
        (operations / gpu.peaks[precision]).max(values * BYTES[precision] / gpu.bandwidth) / 1e12
    };
    kernels.map(of_kernel).sum()
}

/// Where the layers below a prefix lie.
struct Stage<'a> {
    prefix: &'a str,
    /// Images of a patch: the dates in the U-TAE's encoder.
    images: usize,
    /// Sides of the maps that the convolutions that change the size read, and of all other maps.
    from: usize,
    to: usize,
}

/// `3 × 64 × 128²`: images, channels, side; what is 1 is left out.
fn shape(images: usize, channels: usize, side: usize) -> String {
    let images = if images == 1 { String::new() } else { format!("{images} × ") };
    if side == 1 { format!("{images}{channels}") } else { format!("{images}{channels} × {side}²") }
}

/// A pass without weights, from `(channels, side)` to `(channels, side)`.
fn pass(name: String, (c_in, from): (usize, usize), (c_out, to): (usize, usize)) -> Layer {
    Layer {
        name,
        shapes: (shape(1, c_in, from), shape(1, c_out, to)),
        input: c_in * from * from,
        output: c_out * to * to,
        weights: 0,
        operations: 0,
        norm: Norm::None,
        has_rectifier: false,
        has_sum: false,
        is_reflected: false,
    }
}

impl Stage<'_> {
    /// The layers with the weights below the prefix, in the order of their names.
    fn layers(&self, network: &Network) -> Result<Vec<Layer>> {
        let weights = network.parameters.iter().filter_map(|(name, parameter)| {
            let is_below = name.strip_prefix(self.prefix).is_some_and(|rest| rest.starts_with('.'));
            let dims = parameter.var().dims();
            (is_below && parameter.kind() == Kind::Weight && dims.len() > 1).then_some((name, dims))
        });
        let found = weights.map(|(name, dims)| self.layer(network, name, dims)).collect::<Result<Vec<_>>>()?;
        if found.is_empty() {
            bail!("the network has no weights below `{}`", self.prefix);
        }
        Ok(found)
    }

    fn layer(&self, network: &Network, name: &str, dims: &[usize]) -> Result<Layer> {
        let Self { images, from, to, .. } = *self;
        if let Some(layer) = name.strip_suffix(".Q") {
            return attention(network, layer, dims, images, to);
        }
        let Some(layer) = name.strip_suffix(".weight") else { bail!("`{name}` is the weight of no known layer") };
        let is_satellite = layer.starts_with("arch_hr.");
        let is_transposed = is_satellite && layer.ends_with(".up.0");
        let changes_size = is_transposed
            || layer.ends_with("down.conv.0")
            || layer.ends_with("encoder.conv1")
            || layer.ends_with(".0.conv1")
            || layer.ends_with("downsample.0");
        let from = if changes_size { from } else { to };
        let (c_in, c_out) = if is_transposed { (dims[0], dims[1]) } else { (dims[1], dims[0]) };
        let norm = match norm_of(layer).and_then(|norm| network.parameters.get(&norm)) {
            Some(weight) if weight.var().dims().len() > 1 => Norm::None,
            Some(_) if layer.contains("down_blocks") || layer.contains("in_conv") => Norm::Group,
            Some(_) => Norm::Batch,
            None => Norm::None,
        };
        // A transposed convolution has its products at each pixel of its input.
        let pixels = if is_transposed { from * from } else { to * to };
        let kernel: usize = dims[2..].iter().product();
        Ok(Layer {
            name: layer.to_owned(),
            shapes: (shape(images, c_in, from), shape(images, c_out, to)),
            input: images * c_in * from * from,
            output: images * c_out * to * to,
            weights: dims.iter().product(),
            operations: 2 * images * pixels * kernel * c_in * c_out,
            norm,
            has_rectifier: norm != Norm::None && !layer.ends_with("downsample.0"),
            has_sum: layer.contains("encoder.layer") && layer.ends_with("conv2") || layer.ends_with(".conv2.conv.0"),
            is_reflected: is_satellite && kernel > 1 && !is_transposed,
        })
    }
}

/// The products of keys with the query, and of attention with values, at each of `side`² pixels.
fn attention(network: &Network, layer: &str, dims: &[usize], dates: usize, side: usize) -> Result<Layer> {
    let (scope, _) = layer.rsplit_once('.').unwrap_or((layer, ""));
    let Some(values) = network.parameters.get(&format!("{scope}.inconv.weight")) else {
        bail!("`{layer}` has no values");
    };
    let (keys, values, pixels) = (dims[0] * dims[1], values.var().dims()[0], side * side);
    Ok(Layer {
        shapes: (shape(dates, keys + values, side), shape(1, values, side)),
        input: dates * (keys + values) * pixels,
        weights: keys,
        operations: 2 * dates * (keys + values) * pixels,
        ..pass(format!("{scope}: attention"), (0, side), (values, side))
    })
}

/// The name that the weight of a convolution's norm would have: `conv1` → `bn1`, `0` → `1`, `3` → `4`.
fn norm_of(layer: &str) -> Option<String> {
    let (scope, last) = layer.rsplit_once('.')?;
    Some(match last.strip_prefix("conv") {
        Some(number) => format!("{scope}.bn{number}.weight"),
        None => format!("{scope}.{}.weight", last.parse::<usize>().ok()? + 1),
    })
}

/// Channels and sides of maps.
fn sizes(maps: &[Tensor]) -> Result<Vec<(usize, usize)>> {
    maps.iter().map(|map| map.dims4().map(|(_, channels, _, side)| (channels, side))).collect()
}

/// The U-Net's layers, in the order of its forward pass.
fn unet(network: &Network, encoded: &[(usize, usize)]) -> Result<Vec<Layer>> {
    let stage = |prefix: &str, from, to| Stage { prefix, images: 1, from, to }.layers(network);
    let (stem, pooled) = (encoded[0], (encoded[0].0, encoded[1].1));
    let mut all = stage("arch_vhr.encoder.conv1", PATCH, stem.1)?;
    all.push(pass("max pool".to_owned(), stem, pooled));
    for level in 1..encoded.len() {
        let from = if level == 1 { pooled.1 } else { encoded[level - 1].1 };
        all.extend(stage(&format!("arch_vhr.encoder.layer{level}"), from, encoded[level].1)?);
    }
    let mut x = encoded[encoded.len() - 1];
    for block in 0..encoded.len() {
        let (skip, side) = match (encoded.len() - 1).checked_sub(block + 1) {
            Some(level) => encoded[level],
            None => (0, PATCH),
        };
        let mut joined = pass(format!("arch_vhr.decoder.blocks.{block}: double, join"), x, (x.0 + skip, side));
        joined.input += skip * side * side;
        if skip > 0 {
            joined.shapes.0 = format!("{}, {}", joined.shapes.0, shape(1, skip, side));
        }
        all.push(joined);
        all.extend(stage(&format!("arch_vhr.decoder.blocks.{block}"), side, side)?);
        x = (all.last().map_or(0, |last| last.output / (side * side)), side);
    }
    all.extend(stage("arch_vhr.segmentation_head", PATCH, PATCH)?);
    Ok(all)
}

/// The layers that U-T&T has besides.
fn satellite(network: &Network, encoded: &[(usize, usize)], maps: &[(usize, usize)]) -> Result<Vec<Layer>> {
    let stage = |prefix: &str, images, from, to| Stage { prefix, images, from, to }.layers(network);
    let mut all = stage("arch_hr.in_conv", DATES, SUPER_PATCH, SUPER_PATCH)?;
    let blocks = maps.len() - 1;
    for block in 0..blocks {
        let (from, to) = (maps[blocks - block].1, maps[blocks - block - 1].1);
        let mut of_block = stage(&format!("arch_hr.down_blocks.{block}"), DATES, from, to)?;
        of_block.rotate_right(1); // conv1, conv2, down
        all.extend(of_block);
    }
    let coarsest = maps[0].1;
    all.extend(stage("arch_hr.temporal_encoder.inconv", DATES, coarsest, coarsest)?);
    let mut attention = stage("arch_hr.temporal_encoder.attention_heads", DATES, coarsest, coarsest)?;
    attention.reverse(); // the query, then the keys
    all.extend(attention);
    all.extend(stage("arch_hr.temporal_encoder.mlp", 1, coarsest, coarsest)?);
    for block in 0..blocks {
        let (from, to) = (maps[block].1, maps[block + 1].1);
        let mut of_block = stage(&format!("arch_hr.up_blocks.{block}"), 1, from, to)?;
        of_block.rotate_right(2); // conv1, conv2, skip_conv, up
        let skip = of_block[0].input / (to * to);
        let mut mean = pass(format!("arch_hr.up_blocks.{block}: mean of the dates"), (skip, to), (skip, to));
        (mean.input, mean.operations) = (DATES * mean.input, 2 * DATES * mean.input);
        mean.shapes.0 = shape(DATES, skip, to);
        all.push(mean);
        all.extend(of_block);
    }
    // 10 pixels of 10 m for 102.4 m.
    let crop = 10;
    for (level, &map) in (1..).zip(encoded) {
        all.extend(stage(&format!("fm_utae_featmap_cropped.conv_list.{level}"), 1, crop, crop)?);
        all.extend(stage(&format!("fm_utae_featmap_collapsed.mlps.{level}"), 1, 1, 1)?);
        let resized = pass(format!("fusion {level}: resize, add"), (map.0, crop), map);
        all.push(Layer { has_sum: true, ..resized });
    }
    all.extend(stage("reshape_utae_output", 1, crop, crop)?);
    Ok(all)
}

/// Every weight of a layer is counted once, or known to be unused.
fn check(network: &Network, layers: &[&[Layer]]) -> Result<()> {
    let is_used = |name: &str| !UNUSED.iter().any(|unused| name.starts_with(unused));
    let weights = network.parameters.iter().filter(|(name, p)| p.kind() == Kind::Weight && is_used(name));
    let needed: usize =
        weights.map(|(_, p)| p.var()).filter(|var| var.dims().len() > 1).map(|var| var.elem_count()).sum();
    let counted: usize = layers.iter().copied().flatten().map(|layer| layer.weights).sum();
    if counted != needed {
        bail!("{counted} weights are counted, and the network has {needed}");
    }
    Ok(())
}

/// One row for equal layers that follow each other.
fn print(title: &str, layers: &[Layer]) {
    println!("\n{title}\n\n| layer | | in | out | GFLOP | weights, MB | read and written, MB | FLOP a byte |");
    println!("|---|---:|---|---|---:|---:|---:|---:|");
    let mut sum = (0.0, 0.0, 0.0);
    for same in layers.chunk_by(|a, b| a.shapes == b.shapes && a.weights == b.weights) {
        let kernels = same.iter().flat_map(|layer| layer.kernels(1.0, Pass::Predict));
        let (operations, values) = kernels.fold((0.0, 0.0), |sum, kernel| (sum.0 + kernel.0, sum.1 + kernel.1));
        let weights = same.iter().map(|layer| layer.weights as f64).sum::<f64>();
        let (gflop, megabytes) = (operations / 1e9, values * BYTES[0] / 1e6);
        println!(
            "| `{}` | {} | {} | {} | {gflop:.3} | {:.2} | {megabytes:.2} | {:.0} |",
            same[0].name,
            if same.len() > 1 { format!("× {}", same.len()) } else { String::new() },
            same[0].shapes.0,
            same[0].shapes.1,
            weights * BYTES[0] / 1e6,
            gflop * 1e3 / megabytes
        );
        sum = (sum.0 + gflop, sum.1 + weights * BYTES[0] / 1e6, sum.2 + megabytes);
    }
    println!("| together | | | | {:.2} | {:.1} | {:.1} | {:.0} |", sum.0, sum.1, sum.2, sum.0 * 1e3 / sum.2);
}

fn main() -> Result<()> {
    let config = Config::preset("utt-filt-avg-aug").map_err(candle_core::Error::wrap)?.network();
    let network = Network::new(&config, DType::F32, &Device::Cpu, 0)?;
    let image = Tensor::zeros((1, config.aerial_channels, PATCH, PATCH), DType::F32, &Device::Cpu)?;
    let maps = network.layers.aerial.encoder.forward(&image.clone().into(), Mode::EVAL)?;
    let encoded = sizes(&maps.iter().map(Map::tensor).collect::<Result<Vec<_>>>()?)?;
    let (Some(branch), Some(utae)) = (&network.layers.satellite, &config.utae) else {
        bail!("the network has no Sentinel-2 branch");
    };
    // Not zeros: dates without a value other than the padding's are left out.
    let series = Tensor::ones((1, DATES, utae.channels, SUPER_PATCH, SUPER_PATCH), DType::F32, &Device::Cpu)?;
    let dates = Tensor::zeros((1, DATES), DType::F32, &Device::Cpu)?;
    let maps = sizes(&branch.maps(&series, &dates, Mode::EVAL)?)?;

    let unet = unet(&network, &encoded)?;
    let satellite = satellite(&network, &encoded, &maps)?;
    check(&network, &[&unet, &satellite])?;
    print("The U-Net:", &unet);
    print("U-T&T has besides:", &satellite);

    let utt = [unet.clone(), satellite].concat();
    let columns = "a patch, batch 1 | a patch, batch 10 | a step, batch 10";
    println!("\nMilliseconds at least:\n\n| GPU | precision | U-Net: {columns} | U-T&T: {columns} |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for gpu in &GPUS {
        for (precision, name) in ["f32", "TF32", "BF16"].into_iter().enumerate() {
            print!("| {} | {name} |", gpu.name);
            for layers in [&unet, &utt] {
                let predict = |batch: usize| seconds(layers, batch, Pass::Predict, gpu, precision) / batch as f64 * 1e3;
                let step = seconds(layers, 10, Pass::Train, gpu, precision) * 1e3;
                print!(" {:.2} | {:.2} | {step:.1} |", predict(1), predict(10));
            }
            println!();
        }
    }
    Ok(())
}
