//! Feature maps, which layers pass to each other.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, TensorId, bail};
use rayon::prelude::*;

use super::{
    Conv2dConfig, Plan, bilinear,
    cpu::{
        BLOCK, Buffer, Buffers, CHUNK, Convolution, GroupedNorm, Image, InputForm, Level, Source, add_resized,
        blocks_of, classes, pool, to_blocks, to_planes, with_values,
    },
    kernels::take_on_cpu,
    max_pool_3x3_s2, nearest,
    resize::doubled_and_joined,
};

/// A feature map `[B, C, H, W]`: a tensor, or where prediction computes on the CPU in f32, blocks of channels. Doubling the
/// size and joining channels cost nothing there: the next convolution reads the parts where they are.
#[derive(Clone, Debug)]
pub struct Map(Form);

#[derive(Clone, Debug)]
enum Form {
    Tensor(Tensor),
    /// A tensor at half the size, and a skip connection, before they are joined.
    Joined(Tensor, Option<Tensor>),
    Blocks(Blocks),
}

/// Parts whose channels follow each other.
#[derive(Clone, Debug)]
struct Blocks {
    parts: Vec<Part>,
    batch: usize,
    size: (usize, usize),
}

#[derive(Clone, Debug)]
struct Part {
    /// `[B, block, h, w]` of 16 channels each; those after the last channel are 0.
    values: Arc<Buffer>,
    channels: usize,
    /// Stored at half the height and width.
    is_doubled: bool,
}

impl From<Tensor> for Map {
    fn from(tensor: Tensor) -> Self {
        Self(Form::Tensor(tensor))
    }
}

impl Map {
    /// As a tensor `[B, C, H, W]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn tensor(&self) -> Result<Tensor> {
        match &self.0 {
            Form::Tensor(tensor) => Ok(tensor.clone()),
            Form::Joined(coarse, skip) => doubled_and_joined(coarse, skip.as_ref()),
            Form::Blocks(blocks) => blocks.tensor(),
        }
    }

    /// Batch, channels, height and width.
    ///
    /// # Errors
    /// If it is a tensor of another rank.
    pub fn dims4(&self) -> Result<(usize, usize, usize, usize)> {
        match &self.0 {
            Form::Tensor(tensor) => tensor.dims4(),
            Form::Joined(coarse, skip) => {
                let (batch, channels, height, width) = coarse.dims4()?;
                let skipped = skip.as_ref().map_or(Ok(0), |skip| skip.dim(1))?;
                Ok((batch, channels + skipped, 2 * height, 2 * width))
            }
            Form::Blocks(blocks) => {
                let channels = blocks.parts.iter().map(|part| part.channels).sum();
                Ok((blocks.batch, channels, blocks.size.0, blocks.size.1))
            }
        }
    }

    /// Twice the height and width, by nearest neighbour, and the channels of `skip` after its own.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn doubled_and_joined(&self, skip: Option<&Self>) -> Result<Self> {
        let (batch, _, height, width) = self.dims4()?;
        let size = (2 * height, 2 * width);
        if let Some((skip_batch, _, height, width)) = skip.map(Self::dims4).transpose()?
            && (skip_batch, (height, width)) != (batch, size)
        {
            bail!("a skip connection of {skip_batch} maps of {height}×{width} does not fit {batch} of {size:?}");
        }
        if let Form::Blocks(blocks) = &self.0
            && blocks.parts.iter().all(|part| !part.is_doubled)
        {
            let mut parts: Vec<_> = blocks.parts.iter().map(|part| Part { is_doubled: true, ..part.clone() }).collect();
            if let Some(skip) = skip {
                parts.extend(skip.blocks(blocks.buffers())?.parts);
            }
            return Ok(Self(Form::Blocks(Blocks { parts, batch, size })));
        }
        Ok(Self(Form::Joined(self.tensor()?, skip.map(Self::tensor).transpose()?)))
    }

    /// What is to be doubled, and what is to be joined to it, if that is all it is.
    pub(super) fn as_joined(&self) -> Option<(&Tensor, Option<&Tensor>)> {
        match &self.0 {
            Form::Joined(coarse, skip) => Some((coarse, skip.as_ref())),
            Form::Tensor(_) | Form::Blocks(_) => None,
        }
    }

    /// [`max_pool_3x3_s2`].
    ///
    /// # Errors
    /// If the device fails.
    pub fn max_pool(&self) -> Result<Self> {
        match &self.0 {
            Form::Blocks(blocks) if let Some(part) = blocks.only_part() => {
                let (height, width) = blocks.size;
                let size = (height.div_ceil(2), width.div_ceil(2));
                let mut pooled = blocks.buffers().take(blocks.batch * blocks_of(part.channels) * size.0 * size.1);
                pool(&part.values, blocks.size, &mut pooled, Level::of_this_thread());
                Ok(Blocks::of(pooled, part.channels, blocks.batch, size).into())
            }
            _ => Ok(max_pool_3x3_s2(&self.tensor()?)?.into()),
        }
    }

    /// In blocks, as layers pass maps on where a plan computes.
    ///
    /// # Errors
    /// If it is not on the CPU in f32.
    pub fn in_blocks(&self, plan: &Plan) -> Result<Self> {
        Ok(self.blocks(plan.buffers())?.into())
    }

    /// The sum of two maps.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn plus(&self, other: &Self) -> Result<Self> {
        if let (Form::Blocks(a), Form::Blocks(b)) = (&self.0, &other.0)
            && let (Some(first), Some(second)) = (a.only_part(), b.only_part())
            && (first.channels, a.batch, a.size) == (second.channels, b.batch, b.size)
        {
            let mut sum = a.buffers().take(first.values.len());
            let pairs = first.values.par_chunks(BLOCKS_AT_ONCE).zip(second.values.par_chunks(BLOCKS_AT_ONCE));
            sum.par_chunks_mut(BLOCKS_AT_ONCE).zip(pairs).for_each(|(sum, (a, b))| {
                let pairs = a.as_flattened().iter().zip(b.as_flattened());
                sum.as_flattened_mut().iter_mut().zip(pairs).for_each(|(sum, (a, b))| *sum = a + b);
            });
            return Ok(Blocks::of(sum, first.channels, a.batch, a.size).into());
        }
        Ok((self.tensor()? + other.tensor()?)?.into())
    }

    /// The map plus `small + shift`, resized bilinearly to its size: `small [B, C, h, w]`, `shift [1 or B, C, 1, 1]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn plus_resized(&self, small: &Tensor, shift: &Tensor) -> Result<Self> {
        match &self.0 {
            Form::Blocks(blocks) if let Some(part) = blocks.only_part() => {
                let (batch, channels, height, width) = small.dims4()?;
                if (batch, channels) != (blocks.batch, part.channels) {
                    bail!(
                        "a map of {batch} × {channels} channels cannot be added to {} × {}",
                        blocks.batch,
                        part.channels
                    );
                }
                let small = Blocks::copied(&small.broadcast_add(shift)?, blocks.buffers())?;
                let mut sum = blocks.buffers().take(part.values.len());
                let (small, level) = (&small.parts[0].values, Level::of_this_thread());
                add_resized(&part.values, blocks.size, small, (height, width), &mut sum, level);
                Ok(Blocks::of(sum, channels, batch, blocks.size).into())
            }
            _ => {
                let map = self.tensor()?;
                let (.., height, width) = map.dims4()?;
                Ok((map + bilinear(small, height, width)?.broadcast_add(shift)?)?.into())
            }
        }
    }

    /// A group norm and the rectifier by a plan; `None` if this map is not in blocks.
    pub(super) fn normalised(
        &self,
        groups: usize,
        weight: &Tensor,
        bias: &Tensor,
        epsilon: f64,
    ) -> Result<Option<Self>> {
        let Form::Blocks(blocks) = &self.0 else { return Ok(None) };
        let Some(part) = blocks.only_part() else { return Ok(None) };
        let (weight, bias) = (weight.to_vec1::<f32>()?, bias.to_vec1::<f32>()?);
        if [weight.len(), bias.len()] != [part.channels; 2] || !part.channels.is_multiple_of(groups) {
            bail!("a norm of {} channels got a map of {}", weight.len(), part.channels);
        }
        let norm = GroupedNorm { channels: part.channels, groups, weight: &weight, bias: &bias, epsilon };
        let mut y = blocks.buffers().take(part.values.len());
        norm.normalise(&part.values, blocks.size.0 * blocks.size.1, &mut y, Level::of_this_thread());
        Ok(Some(Blocks::of(y, part.channels, blocks.batch, blocks.size).into()))
    }

    /// Of logits in blocks, for each image a byte that is 0 if all are finite, then the class of each pixel: `[B, 1 + H · W]`.
    /// `None` if they are a tensor.
    pub(super) fn classes(&self) -> Option<Vec<u8>> {
        let Form::Blocks(blocks) = &self.0 else { return None };
        let part = blocks.only_part().filter(|part| part.channels <= usize::from(u8::MAX) + 1)?;
        let pixels = blocks.size.0 * blocks.size.1;
        let mut bytes = vec![0; blocks.batch * (1 + pixels)];
        let logits = part.values.chunks_exact(blocks_of(part.channels) * pixels);
        for (bytes, logits) in bytes.chunks_exact_mut(1 + pixels).zip(logits) {
            let (is_broken, found) = bytes.split_at_mut(1);
            is_broken[0] = u8::from(!classes(logits, part.channels, found));
        }
        Some(bytes)
    }

    /// In blocks, if prediction computes so: what the layer then computes, and the plan.
    pub(super) fn on_plan<'a>(&self, plan: Option<&'a Plan>) -> Option<&'a Plan> {
        plan.filter(|_| match &self.0 {
            Form::Tensor(tensor) | Form::Joined(tensor, _) => take_on_cpu(tensor) && tensor.dtype() == DType::F32,
            Form::Blocks(_) => true,
        })
    }

    fn blocks(&self, buffers: &Buffers) -> Result<Blocks> {
        match &self.0 {
            Form::Tensor(tensor) => Blocks::copied(tensor, buffers),
            Form::Joined(..) => Blocks::copied(&self.tensor()?, buffers),
            Form::Blocks(blocks) => Ok(blocks.clone()),
        }
    }

    /// A convolution by a plan, then the addition of a residual and the rectifier, if any. `of` is the convolution's identity,
    /// and `prepare` makes what the plan keeps of it.
    pub(super) fn convolved(
        &self,
        (of, config): (TensorId, Conv2dConfig),
        prepare: impl FnOnce(&InputForm) -> Result<Convolution>,
        (residual, rectifies): (Option<&Self>, bool),
        plan: &Plan,
    ) -> Result<Self> {
        let buffers = plan.buffers();
        let (batch, channels, height, width) = self.dims4()?;
        // An image of few channels is read as it is: as a block it would be mostly zeros.
        let is_planes =
            matches!(self.0, Form::Tensor(_)) && channels < BLOCK && (config.kernel, config.stride) != (3, 1);
        let (planes, blocks) = match &self.0 {
            Form::Tensor(tensor) if is_planes => (Some(tensor.contiguous()?), None),
            _ => (None, Some(self.blocks(buffers)?)),
        };
        let parts = match &blocks {
            Some(blocks) => blocks.parts.iter().map(|part| part.channels).collect(),
            None => vec![channels],
        };
        let size = (height, width);
        let form = InputForm { parts, size, is_planes };
        let convolution = plan.convolution(of, form.clone(), || prepare(&form))?;
        let output = convolution.output(size)?;
        let residual = residual.map(|residual| residual.blocks(buffers)).transpose()?;
        let fits = |residual: &Blocks| {
            let has_channels = residual.only_part().is_some_and(|part| part.channels == convolution.channels());
            has_channels && (residual.batch, residual.size) == (batch, output)
        };
        if residual.as_ref().is_some_and(|residual| !fits(residual)) {
            bail!("a residual that does not fit the convolution's output");
        }
        let of_image = blocks_of(convolution.channels()) * output.0 * output.1;
        let mut y = buffers.take(batch * of_image);
        for (image, y) in y.chunks_exact_mut(of_image).enumerate() {
            let residual = residual.as_ref().map(|residual| &residual.parts[0].values[image * of_image..][..of_image]);
            if let Some(blocks) = &blocks {
                let sources = blocks.sources(image);
                convolution.apply(Image::Blocks(&sources), size, (residual, rectifies), y, buffers)?;
            } else if let Some(planes) = &planes {
                with_values(planes, |all| {
                    let planes = &all[image * channels * height * width..][..channels * height * width];
                    convolution.apply(Image::Planes(planes), size, (residual, rectifies), y, buffers)
                })?;
            }
        }
        Ok(Blocks::of(y, convolution.channels(), batch, output).into())
    }
}

/// Blocks of a task of an elementwise kernel.
const BLOCKS_AT_ONCE: usize = CHUNK / BLOCK;

impl From<Blocks> for Map {
    fn from(blocks: Blocks) -> Self {
        Self(Form::Blocks(blocks))
    }
}

impl Blocks {
    fn of(values: Buffer, channels: usize, batch: usize, size: (usize, usize)) -> Self {
        Self { parts: vec![Part { values: Arc::new(values), channels, is_doubled: false }], batch, size }
    }

    fn buffers(&self) -> &Buffers {
        self.parts[0].values.home()
    }

    /// All channels at full size, if they are one part.
    fn only_part(&self) -> Option<&Part> {
        match &self.parts[..] {
            [part] if !part.is_doubled => Some(part),
            _ => None,
        }
    }

    /// The parts of an image.
    fn sources(&self, image: usize) -> Vec<Source<'_>> {
        let mut sources = Vec::with_capacity(self.parts.len());
        for Part { values, channels, is_doubled } in &self.parts {
            let size = if *is_doubled { (self.size.0 / 2, self.size.1 / 2) } else { self.size };
            let length = blocks_of(*channels) * size.0 * size.1;
            sources.push(Source { blocks: &values[image * length..][..length], size, is_doubled: *is_doubled });
        }
        sources
    }

    /// A tensor `[B, C, H, W]` in blocks.
    fn copied(tensor: &Tensor, buffers: &Buffers) -> Result<Self> {
        let (batch, channels, height, width) = tensor.dims4()?;
        let pixels = height * width;
        let mut copy = buffers.take(batch * blocks_of(channels) * pixels);
        with_values(&tensor.contiguous()?, |values| {
            copy.par_chunks_exact_mut(pixels.max(1)).enumerate().for_each(|(index, copy)| {
                let (image, block) = (index / blocks_of(channels), index % blocks_of(channels));
                let first = image * channels + block * BLOCK;
                let count = (channels - block * BLOCK).min(BLOCK);
                to_blocks(&values[first * pixels..][..count * pixels], pixels, 0, copy);
            });
            Ok(())
        })?;
        Ok(Self::of(copy, channels, batch, (height, width)))
    }

    fn tensor(&self) -> Result<Tensor> {
        let (height, width) = self.size;
        let parts = self.parts.iter().map(|part| {
            let size = if part.is_doubled { (height / 2, width / 2) } else { self.size };
            let (pixels, blocks) = (size.0 * size.1, blocks_of(part.channels));
            let mut planes = vec![0f32; self.batch * part.channels * pixels];
            let images = planes.par_chunks_exact_mut((part.channels * pixels).max(1));
            images.zip(part.values.par_chunks_exact((blocks * pixels).max(1))).for_each(|(planes, values)| {
                let by_block = planes.par_chunks_mut((BLOCK * pixels).max(1)).zip(values.par_chunks_exact(pixels));
                by_block.for_each(|(planes, values)| to_planes(values, planes.chunks_exact_mut(pixels)));
            });
            let tensor = Tensor::from_vec(planes, (self.batch, part.channels, size.0, size.1), &Device::Cpu)?;
            if part.is_doubled { nearest(&tensor, height, width) } else { Ok(tensor) }
        });
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        After, BatchNorm, Builder, Classes, Conv2d, ConvInit, ConvNorm, GroupNorm, Mode, Padding, at_each_level,
        gradcheck::image,
    };

    /// The same layer in f32 and f64.
    fn layers(c_in: usize, c_out: usize, config: Conv2dConfig) -> [ConvNorm; 2] {
        let layer = |dtype| {
            let builder = Builder::new(dtype, &Device::Cpu, 7);
            let conv = Conv2d::new(&builder.root().at("conv"), c_in, c_out, config, ConvInit::Torch).unwrap();
            let norm = BatchNorm::new(&builder.root().at("norm"), c_out).unwrap();
            let seen = image(&[3, c_out, 2, 2]).to_dtype(dtype).unwrap();
            norm.forward(&seen, Mode::TRAIN_WITHOUT_DROPOUT).unwrap();
            ConvNorm::new(conv, norm)
        };
        [layer(DType::F32), layer(DType::F64)]
    }

    fn in_f32(x: &Tensor) -> Map {
        x.to_dtype(DType::F32).unwrap().into()
    }

    fn assert_near(found: &Map, expected: &Map, what: &str) {
        let (found, expected) = (found.tensor().unwrap().to_dtype(DType::F64).unwrap(), expected.tensor().unwrap());
        assert_eq!(found.dims(), expected.dims(), "{what}");
        let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        let (apart, of) = (largest(&(found - &expected).unwrap()), largest(&expected));
        assert!(apart <= 1e-5 * of, "{what}: {apart} of {of}");
    }

    #[test]
    fn convolutions_of_a_plan_are_those_of_the_definition() {
        at_each_level(|level| {
            for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0), (7, 2, 3), (4, 2, 1)] {
                for padding_mode in [Padding::Zeros, Padding::Reflect, Padding::Replicate, Padding::Circular] {
                    let config = Conv2dConfig { kernel, stride, padding, padding_mode };
                    for (c_in, c_out) in [(5, 16), (16, 13), (37, 20)] {
                        let [f32, f64] = layers(c_in, c_out, config);
                        // Tiles that end with the image, and beyond; few, and many.
                        for (batch, height, width) in [(2, 8, 12), (1, 9, 7), (1, 35, 38)] {
                            let x = image(&[batch, c_in, height, width]);
                            let plan = Plan::default();
                            let after = |y: &Map| y.tensor().unwrap().affine(-0.5, 0.25).unwrap();
                            let expected = f64.forward(&x.clone().into(), After::Relu, Mode::EVAL).unwrap();
                            let residual = after(&expected);
                            let with_residual = After::ResidualRelu(&residual.clone().into());
                            let what = format!("{level} {config:?} {c_in} {c_out} {height} {width}");
                            let found = f32.forward(&in_f32(&x), After::Relu, Mode::predict(&plan)).unwrap();
                            assert_near(&found, &expected, &what);
                            let expected = f64.forward(&x.clone().into(), with_residual, Mode::EVAL).unwrap();
                            let with_residual = After::ResidualRelu(&in_f32(&residual));
                            let found = f32.forward(&in_f32(&x), with_residual, Mode::predict(&plan)).unwrap();
                            assert_near(&found, &expected, &what);
                        }
                    }
                }
            }
        });
    }

    #[test]
    fn maps_are_doubled_joined_and_pooled_where_they_are() {
        at_each_level(|level| {
            let config = Conv2dConfig::same(3);
            for (c_in, skip) in [(16, 16), (20, 5), (7, 0)] {
                let [first, first_in_f64] = layers(4, c_in, config);
                let [last, last_in_f64] = layers(c_in + skip, 9, config);
                let plan = Plan::default();
                let run = |first: &ConvNorm, last: &ConvNorm, of: &dyn Fn(&Tensor) -> Map, mode: Mode<'_>| {
                    let x = first.forward(&of(&image(&[2, 4, 14, 18])), After::Relu, mode).unwrap().max_pool().unwrap();
                    let skip = (skip > 0).then(|| of(&image(&[2, skip, 14, 18])));
                    last.forward(&x.doubled_and_joined(skip.as_ref()).unwrap(), After::Nothing, mode).unwrap()
                };
                let found = run(&first, &last, &in_f32, Mode::predict(&plan));
                let expected = run(&first_in_f64, &last_in_f64, &|t| t.clone().into(), Mode::EVAL);
                assert_near(&found, &expected, &format!("{level} {c_in} {skip}"));
            }
        });
    }

    #[test]
    fn sums_resizes_and_group_norms_are_those_of_tensors() {
        at_each_level(|level| {
            let plan = Plan::default();
            for (channels, size, small) in [(32, (9, 14), (3, 4)), (20, (6, 6), (6, 5)), (64, (25, 4), (2, 2))] {
                let x = image(&[2, channels, size.0, size.1]);
                let (small, shift) = (image(&[2, channels, small.0, small.1]), image(&[1, channels, 1, 1]));
                let [small_in_f32, shift_in_f32] = [&small, &shift].map(|t| t.to_dtype(DType::F32).unwrap());
                let blocks = in_f32(&x).in_blocks(&plan).unwrap();
                let resized = blocks.plus_resized(&small_in_f32, &shift_in_f32).unwrap();
                let expected = Map::from(x.clone()).plus_resized(&small, &shift).unwrap();
                assert_near(&resized, &expected, &format!("{level}, resized, {channels}"));
                let sum = resized.plus(&blocks).unwrap();
                assert_near(&sum, &expected.plus(&x.clone().into()).unwrap(), &format!("{level}, sum, {channels}"));
                let norm = |dtype| {
                    let builder = Builder::new(dtype, &Device::Cpu, 3);
                    GroupNorm::new(&builder.root(), 4, channels).unwrap()
                };
                let expected = norm(DType::F64).rectified(&expected, Mode::EVAL).unwrap();
                let found = norm(DType::F32).rectified(&resized, Mode::EVAL).unwrap();
                assert_near(&found, &expected, &format!("{level}, norm, {channels}"));
            }
        });
    }

    #[test]
    fn weights_that_were_given_back_are_an_error_and_the_plan_goes_on() {
        let [layer, _] = layers(20, 16, Conv2dConfig::same(3));
        let (x, plan) = (in_f32(&image(&[1, 20, 36, 36])), Plan::releasing());
        let run = |mode: Mode<'_>| layer.forward(&x, After::Relu, mode);
        let first = run(Mode::predict(&plan)).unwrap();
        assert_near(
            &run(Mode::predict(&plan)).unwrap(),
            &Map::from(first.tensor().unwrap().to_dtype(DType::F64).unwrap()),
            "again",
        );
        for mode in [Mode::predict(&Plan::default()), Mode::EVAL] {
            assert!(run(mode).unwrap_err().to_string().contains("memory was given back"));
        }
    }

    #[test]
    fn the_classes_are_those_of_the_tensor() {
        let plan = Plan::default();
        let values: Vec<f32> = (0..2 * 13 * 70 * 70).map(|i: usize| ((i * 7919) % 17) as f32 - 8.0).collect();
        let logits = Tensor::from_vec(values, (2, 13, 70, 70), &Device::Cpu).unwrap();
        let blocks = Map::from(logits.clone()).in_blocks(&plan).unwrap();
        let of = |map: &Map| Classes::of(map).unwrap().read().unwrap();
        assert_eq!(of(&blocks), of(&logits.into()));
        let broken = (blocks.tensor().unwrap() * f64::INFINITY).unwrap();
        assert_eq!(of(&Map::from(broken).in_blocks(&plan).unwrap()), [None, None]);
    }

    #[test]
    fn what_is_no_number_is_not_lost() {
        at_each_level(|level| {
            let [layer, _] = layers(4, 16, Conv2dConfig::same(3));
            let plan = Plan::default();
            let mut values = vec![0f32; 4 * 12 * 12];
            values[70] = f32::NAN;
            let x = Map::from(Tensor::from_vec(values, (1, 4, 12, 12), &Device::Cpu).unwrap());
            let y = layer.forward(&x, After::Relu, Mode::predict(&plan)).unwrap().max_pool().unwrap();
            let y = y.tensor().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(y.iter().any(|y| y.is_nan()), "{level}");
        });
    }

    #[test]
    fn a_sample_has_the_same_bits_in_every_batch_and_with_every_number_of_threads() {
        let [layer, _] = layers(20, 36, Conv2dConfig::same(3));
        let x = image(&[3, 20, 40, 36]).to_dtype(DType::F32).unwrap();
        let bits = |x: Tensor, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let plan = Plan::default();
                let y = layer.forward(&x.into(), After::Relu, Mode::predict(&plan)).unwrap().tensor().unwrap();
                y.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
            })
        };
        let (all, last) = (bits(x.clone(), 1), bits(x.narrow(0, 2, 1).unwrap(), 3));
        assert_eq!(all[all.len() - last.len()..], last);
    }
}
