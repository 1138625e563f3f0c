//! Records of scores and times: accepted ones survive a round trip, and can be judged.

use flair_scoring::{
    ScoreReport,
    timing::{Limits, Outcome, Timing, judge},
};

/// Reads the bytes as a score's record, and as a timing record.
pub(crate) fn exercise(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match ScoreReport::from_json(text) {
        Ok(report) => {
            report.matrix().expect("an accepted record has a matrix");
            let mut csv = Vec::new();
            report.write_csv(&mut csv).expect("memory takes everything");
            assert_eq!(ScoreReport::from_json(&report.to_json()).expect("what it writes it reads"), report);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(timing) = serde_json::from_str::<Timing>(text) {
        let limits = Limits { baseline_seconds: Some(1.0), ..Limits::default() };
        let verdict = judge(&timing, &limits);
        // A time that passes can be written in an archive's name.
        let passes = [verdict.absolute, verdict.relative].iter().any(|rule| matches!(rule, Outcome::Pass { .. }));
        assert!(!passes || timing.elapsed().is_some());
    }
}
