//! Range checks of the settings, beyond their types.

use std::fmt::Debug;

use flair_scoring::{CLASS_COUNT, CLASSES};

use super::{Config, ConfigError, Model, error::Problem};
use crate::{
    models::utae::{Aggregation, EncoderNorm},
    nn::Padding,
};

impl Config {
    /// Returns an error that lists all values out of their ranges.
    pub(super) fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid { origin: origin.to_owned(), problems }) }
    }

    /// All values out of their ranges.
    fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        self.check_inputs(&mut found);
        self.check_training(&mut found);
        self.check_utae(&mut found);
        found.0
    }

    fn check_inputs(&self, found: &mut Found) {
        let size = self.sat_patch_size;
        found.unless(
            (8..=112).contains(&size) && size.is_multiple_of(8),
            "sat_patch_size",
            &size,
            "8 to 112, a multiple of 8",
        );
        let geo = self.geo_enc_size;
        found.unless(
            (4..=256).contains(&geo) && geo.is_multiple_of(4),
            "geo_enc_size",
            &geo,
            "4 to 256, a multiple of 4",
        );
        found.unless(self.num_classes == CLASS_COUNT, "num_classes", &self.num_classes, "13, as FLAIR #2 has");
        found.unless(
            self.num_channels_aerial == 5,
            "num_channels_aerial",
            &self.num_channels_aerial,
            "5, as an image has",
        );
        found.unless(
            self.num_channels_sat == 10,
            "num_channels_sat",
            &self.num_channels_sat,
            "10, as a super-area has",
        );
        found.unless((1..=9999).contains(&self.ref_year), "ref_year", &self.ref_year, "1 to 9999");
        found.unless(self.pad_value.is_finite(), "pad_value", &self.pad_value, "a number");
    }

    fn check_training(&self, found: &mut Found) {
        let is_weight = |w: &f64| w.is_finite() && *w >= 0.0;
        let weights = &self.weights_aerial_satellite;
        found.unless(
            weights.len() == CLASS_COUNT,
            "weights_aerial_satellite",
            &format_args!("of {} classes", weights.len()),
            "13 classes in their order",
        );
        // Only the order counts, so a name at the wrong position would weight another class.
        for (name, class) in weights.keys().zip(&CLASSES) {
            let is_right = name == class.name || (name == "agricutural land" && class.name == "agricultural land");
            found.unless(
                is_right,
                "weights_aerial_satellite",
                name,
                format!("the class `{}` at this position", class.name),
            );
        }
        found.unless(weights.values().flatten().all(is_weight), "weights_aerial_satellite", weights, "weights ≥ 0");
        found.unless(self.w_unet_utae.iter().all(is_weight), "w_unet_utae", &self.w_unet_utae, "weights ≥ 0");
        // The first weight is the satellite's.
        let [satellite, aerial] = self.w_unet_utae;
        let is_learning = match self.flair_bench.model {
            Model::Unet => aerial > 0.0,
            Model::Utt => aerial + satellite > 0.0,
        };
        found.unless(is_learning, "w_unet_utae", &self.w_unet_utae, "a weight above 0 for an existing branch");
        let drop = self.drop_utae_modality;
        found.unless((0.0..=1.0).contains(&drop), "drop_utae_modality", &drop, "a probability, 0 to 1");
        found.unless(self.lr.is_finite() && self.lr > 0.0, "lr", &self.lr, "a number above 0");
        for (key, value, most) in [
            ("num_epochs", self.num_epochs, 1_000_000),
            ("batch_size", self.batch_size, 65_536),
            ("batch_size_inference", self.batch_size_inference, 65_536),
            ("gpus_per_node", self.gpus_per_node, 65_536),
            ("num_nodes", self.num_nodes, 65_536),
            ("flair_bench.accumulate", self.flair_bench.accumulate, 65_536),
        ] {
            found.unless((1..=most).contains(&value), key, &value, format!("1 to {most}"));
        }
        let width = self.flair_bench.unet_width;
        let is_width = (4..=512).contains(&width) && width.is_multiple_of(4);
        found.unless(is_width, "flair_bench.unet_width", &width, "4 to 512, a multiple of 4");
        let momentum = self.flair_bench.norm_momentum;
        let is_share = momentum > 0.0 && momentum <= 1.0;
        found.unless(is_share, "flair_bench.norm_momentum", &momentum, "above 0, at most 1");
        let clip = self.flair_bench.clip;
        found.unless(
            clip.is_none_or(|c| c.is_finite() && c > 0.0),
            "flair_bench.clip",
            &clip.unwrap_or_default(),
            "a number above 0, or nothing",
        );
        found.unless(self.num_workers <= 1024, "num_workers", &self.num_workers, "at most 1024");
    }

    fn check_utae(&self, found: &mut Found) {
        let (encoder, decoder) = (&self.encoder_widths, &self.decoder_widths);
        for (key, widths, least) in
            [("encoder_widths", encoder, 2), ("decoder_widths", decoder, 2), ("out_conv", &self.out_conv, 1)]
        {
            let fits = (least..=8).contains(&widths.len()) && widths.iter().all(|w| (1..=1024).contains(w));
            found.unless(fits, key, widths, format!("{least} to 8 numbers of 1 to 1024"));
        }
        for (key, value, most) in
            [("n_head", self.n_head, 256), ("d_model", self.d_model, 4096), ("d_k", self.d_k, 256)]
        {
            found.unless((1..=most).contains(&value), key, &value, format!("1 to {most}"));
        }
        let (kernel, stride, padding) = (self.str_conv_k, self.str_conv_s, self.str_conv_p);
        found.unless((1..=8).contains(&stride), "str_conv_s", &stride, "1 to 8");
        found.unless(padding <= 8, "str_conv_p", &padding, "at most 8");
        if !found.0.is_empty() {
            return; // the next checks relate these values to each other
        }
        found.unless(
            encoder.len() == decoder.len() && encoder.first() == decoder.first() && encoder.last() == decoder.last(),
            "decoder_widths",
            decoder,
            format!("as many widths as `encoder_widths`, {encoder:?}, with the same first and last"),
        );
        found.unless(
            kernel == stride + 2 * padding,
            "str_conv_k",
            &kernel,
            format!("str_conv_s + 2 str_conv_p, {}, so that upsampling undoes downsampling", stride + 2 * padding),
        );
        // A stride of at most 8 to the 7th power cannot overflow.
        let shrinks = stride.pow(u32::try_from(encoder.len() - 1).unwrap_or(7));
        let coarsest = self.sat_patch_size / shrinks;
        let least = if self.padding_mode == Padding::Reflect { 2 } else { 1 };
        found.unless(
            self.sat_patch_size.is_multiple_of(shrinks) && coarsest >= least,
            "sat_patch_size",
            &self.sat_patch_size,
            format!("a multiple of {shrinks}, the U-TAE's downsampling factor, and at least {}", least * shrinks),
        );
        let heads = self.n_head;
        found.unless(
            self.d_model.is_multiple_of(heads),
            "d_model",
            &self.d_model,
            format!("a multiple of `n_head`, {heads}"),
        );
        let by_head = if self.agg_mode == Aggregation::AttGroup { &encoder[..] } else { &encoder[encoder.len() - 1..] };
        found.unless(
            by_head.iter().all(|width| width.is_multiple_of(heads)),
            "encoder_widths",
            encoder,
            format!("multiples of `n_head`, {heads}"),
        );
        found.unless(
            self.encoder_norm != EncoderNorm::Group || encoder.iter().all(|width| width.is_multiple_of(4)),
            "encoder_widths",
            encoder,
            "multiples of 4, the groups of `encoder_norm: group`",
        );
    }
}

/// Problems found so far.
#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn unless(&mut self, holds: bool, key: &'static str, value: &dyn Debug, expected: impl Into<String>) {
        if !holds {
            self.0.push(Problem { key, value: format!("{value:?}"), expected: expected.into() });
        }
    }
}
