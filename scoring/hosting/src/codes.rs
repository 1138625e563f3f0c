//! The kinds of findings that only hosting has.

use flair_scoring::finding_codes;

finding_codes! {
    /// A kind of finding about a challenge's bundle or the times that a submission declares.
    pub enum HostingCode {
        BundleSchema = "bundle-schema", Error, "a bundle is not what its platform takes",
            cause: "A page, a picture or a setting of the organiser's own breaks a rule of the platform.",
            fix: "Mend what the message names, and make the bundle anew.";
        TimeMismatch = "time-mismatch", Warning, "the times in the archive's name are not those of the enclosed record",
            cause: "The archive was named by hand, or holds the record of another run.",
            fix: "Pack with `flair-bench package --timing timing.json`, which names the archive after its record.";
        TimeNotWhole = "time-not-whole", Warning, "the clock does not cover all predictions",
            cause: "The prediction was stopped and resumed: what was there already took no time.",
            fix: "Predict all patches in one go, and enclose that run's `timing.json`.";
        UnreadableRecord = "unreadable-record", Warning, "an enclosed record of times cannot be read",
            cause: "It was edited, is of another program, or there are several of one name.",
            fix: "Enclose the `timing.json` and `run.json` of one run as flair-bench wrote them, or none.";
        TimesUnknown = "times-unknown", Note, "the submission declares no times",
            cause: "Platforms do not hand on the name of the archive, and no `timing.json` is enclosed.",
            fix: "Enclose `timing.json`, or put the named archive into the one that is uploaded.";
    }
}
