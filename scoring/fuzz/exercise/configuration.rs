//! Configurations: an accepted one survives a round trip through JSON, and a refused assignment changes nothing.

use std::sync::LazyLock;

use flair_baselines::config::Config;

static PRESET: LazyLock<Config> = LazyLock::new(|| Config::preset("utt").expect("presets are right"));

/// Maximum number of lines that are used as assignments.
const ASSIGNMENTS: usize = 4;

/// Reads the bytes as a YAML file, and their first lines as `--set` assignments.
pub(crate) fn exercise(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Config::from_yaml(text, "the bytes") {
        Ok(config) => assert_reads_back(&config),
        // Formats the message, too: it quotes a line of the text and the nearest keys.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let mut config = PRESET.clone();
    let assignments: Vec<_> = text.lines().take(ASSIGNMENTS).collect();
    match config.set_all(&assignments) {
        Ok(()) => assert_reads_back(&config),
        Err(error) => assert!(config == *PRESET && !error.to_string().is_empty()),
    }
}

fn assert_reads_back(config: &Config) {
    let json = serde_json::to_string(config).expect("a configuration is JSON");
    assert_eq!(Config::from_yaml(&json, "its JSON").expect("what was accepted is accepted again"), *config);
}
