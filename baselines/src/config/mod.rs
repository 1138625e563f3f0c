//! The configuration: upstream's `flair-2-config.yml`, with a section of our own.
//!
//! The keys are upstream's, so that existing files keep working. Settings without a key upstream are in the section
//! `flair_bench`, which may be left out. [`Config`] makes the settings of each room of this crate, such as
//! [`Config::inputs`] for [`crate::data`]; no room imports this one.
//!
//! ```
//! use flair_baselines::config::{Config, Model};
//!
//! let mut config = Config::preset("unet")?;
//! config.set("aerial_metadata=true")?;
//! assert_eq!(config.flair_bench.model, Model::Unet);
//! # Ok::<(), flair_baselines::config::ConfigError>(())
//! ```

mod assign;
mod checks;
mod error;
mod prediction;
mod presets;
mod rooms;
mod schema;
mod yaml;

pub use error::{ConfigError, Problem};
pub use prediction::{INDIFFERENT_KEYS, NearestPreset, deviations};
pub use presets::PRESETS;
pub use schema::{Bench, Config, Model};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Fidelity;

    fn error(text: &str) -> String {
        Config::from_yaml(text, "the test").unwrap_err().to_string()
    }

    #[test]
    fn presets_are_the_rows_of_the_published_table() {
        let rows: Vec<_> = PRESETS
            .iter()
            .map(|(name, _)| {
                let c = Config::preset(name).unwrap();
                assert!(c.weights_aerial_satellite.values().eq(&[
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 1.0],
                    [1.0, 0.0],
                    [0.0, 0.0],
                ]));
                assert_eq!(c.flair_bench.fidelity, Fidelity::Upstream);
                (*name, c.flair_bench.model, c.aerial_metadata, c.use_augmentation, c.filter_clouds, c.average_month)
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("unet", Model::Unet, false, false, false, false),
                ("unet-mtd-aug", Model::Unet, true, true, false, false),
                ("utt", Model::Utt, false, false, false, false),
                ("utt-filt-avg-aug", Model::Utt, false, true, true, true),
            ]
        );
        insta::assert_snapshot!(Config::preset("utae").unwrap_err(), @"unknown preset `utae`: expected one of unet, unet-mtd-aug, utt, utt-filt-avg-aug");
    }

    #[test]
    fn presets_differ_only_where_the_table_does() {
        let mut first = Config::preset("unet").unwrap();
        for (name, _) in &PRESETS[1..] {
            let other = Config::preset(name).unwrap();
            first.flair_bench.model = other.flair_bench.model;
            first.aerial_metadata = other.aerial_metadata;
            first.use_augmentation = other.use_augmentation;
            first.filter_clouds = other.filter_clouds;
            first.average_month = other.average_month;
            assert_eq!(first, other);
        }
    }

    #[test]
    fn a_file_without_our_section_is_upstreams_model() {
        let (upstream, _) = PRESETS[3].1.split_once("flair_bench:").unwrap();
        let config = Config::from_yaml(upstream, "the test").unwrap();
        assert_eq!(config.flair_bench, Bench::default());
        assert_eq!(config.flair_bench.model, Model::Utt);
    }

    #[test]
    fn mistakes_show_their_location() {
        let text = PRESETS[0].1;
        insta::assert_snapshot!(error(&text.replace("n_head:", "heads:")), @"
        the test, line 75, column 1: unknown key `heads`: nearest are n_head, flair_bench.seed, flair_bench.optimizer.name
          heads: 16
          ^
        ");
        insta::assert_snapshot!(error(&text.replace("path_sen_train:", "path_sen:")), @r#"
        the test, line 7, column 5: unknown key `path_sen`: nearest are data.path_sen_train, data.path_sen_test
              path_sen: ""
              ^
        "#);
        insta::assert_snapshot!(error(&text.replace("num_classes: 13", "num_classes: many")), @"
        the test, line 49, column 14: invalid u64
          num_classes: many
                       ^
        ");
        insta::assert_snapshot!(error(&text.replace("agg_mode: att_group", "agg_mode: max")), @"
        the test, line 73, column 11: unknown variant `max`, expected one of att_group, att_mean, mean
          agg_mode: max         # att_group, att_mean, mean
                    ^
        ");
        insta::assert_snapshot!(error(&text.replace("ref_date: 05-15", "ref_date: 15-05")), @"
        the test, line 79, column 11: `15-05` is not a month and a day: expected MM-DD, such as 05-15
          ref_date: 15-05             # reference day of the temporal positions
                    ^
        ");
        insta::assert_snapshot!(error(&text.replace("\nlr: 0.001\n", "\n")), @"the test: missing field `lr`");
        insta::assert_snapshot!(error(&text.replace("lr: 0.001\n", "lr: 0.001\nlr: 0.002\n")), @"
        the test, line 58, column 1: duplicate mapping key: lr
          lr: 0.002
          ^
        ");
        insta::assert_snapshot!(error("data: ["), @"
        the test, line 1, column 7: expected mapping start
          data: [
                ^
        ");
        insta::assert_snapshot!(error(""), @"
        the test, line 1, column 1: unexpected end of input
          
          ^
        ");
    }

    #[test]
    fn all_values_out_of_range_are_listed() {
        let text = PRESETS[0]
            .1
            .replace("sat_patch_size: 40", "sat_patch_size: 44")
            .replace("num_classes: 13", "num_classes: 12")
            .replace("decoder_widths: [64, 64, 128, 128]", "decoder_widths: [32, 64, 128, 256]")
            .replace("lr: 0.001", "lr: .nan")
            .replace("n_head: 16", "n_head: 0");
        insta::assert_snapshot!(error(&text), @"
        the test has values that cannot be used:
          `sat_patch_size` is 44: expected 8 to 112, a multiple of 8
          `num_classes` is 12: expected 13, as FLAIR #2 has
          `lr` is NaN: expected a number above 0
          `n_head` is 0: expected 1 to 256
        ");
    }

    #[test]
    fn the_fuzzers_inputs_are_there() {
        let bare = |text: &str| -> String {
            let lines = text.lines().map(|line| line.split(" #").next().unwrap_or("").trim_end());
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect()
        };
        let mut files: std::collections::BTreeMap<_, _> =
            PRESETS.iter().map(|(name, text)| (format!("{name}.yml"), bare(text))).collect();
        files.insert("utt.json".to_owned(), serde_json::to_string(&Config::preset("utt").unwrap()).unwrap());
        let merged = bare(PRESETS[0].1).replace("[1, 1]", "*one").replacen("*one", "&one [1, 1]", 1);
        files.insert("aliases.yml".to_owned(), merged);
        for (name, text) in [
            (
                "set-texts",
                "out_model_name='2023'\ndata.path_aerial_train=/data/a=b\nstrategy=ddp\ndata.path_sen_train=",
            ),
            ("set-numbers", "lr=1e-2\nflair_bench.seed=18446744073709551615\npad_value=-0.0\nsat_patch_size=80"),
            ("set-lists", "encoder_widths=[32,64,128,128]\ndecoder_widths=[32,64,128,128]\nw_unet_utae=[0.5, 1]"),
            (
                "set-classes",
                "weights_aerial_satellite.water=[2, 0.5]\nweights_aerial_satellite.pervious surface=[1, 0]",
            ),
            ("set-days", "ref_date=06-30\nref_year=2020\npadding_mode=zeros\nagg_mode=att_mean"),
            ("set-ours", "flair_bench.clip=1\nflair_bench.patience=\nflair_bench.fidelity=corrected\nn_head=8"),
            (
                "set-optimizer",
                "flair_bench.optimizer={name: adamw, weight_decay: 0.01}\nflair_bench.schedule={name: cosine}",
            ),
            ("set-unknown", "aerial_metadta=true"),
            ("set-nothing", "aerial_metadata"),
            ("yaml-bomb", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: &d [*c,*c]\ne: &e [*d,*d]"),
            ("yaml-merge", "base: &b {lr: 1}\n<<: *b\n? [x, y]\n: !!str |+\n  text\n"),
            ("yaml-deep", "data: [[[[[[[[[[[[[[[[{{{{{{{{{{{{{{{{"),
        ] {
            files.insert(name.to_owned(), text.to_owned());
        }
        crate::seeds::keep("configuration", &files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect());
    }

    #[test]
    fn json_and_yaml_are_the_same_configuration() {
        for (name, _) in PRESETS {
            let config = Config::preset(name).unwrap();
            let json = serde_json::to_string_pretty(&config).unwrap();
            assert_eq!(Config::from_yaml(&json, "run.json").unwrap(), config);
            assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        }
    }
}
