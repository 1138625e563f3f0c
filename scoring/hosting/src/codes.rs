//! The kinds of findings that only hosting has.

use flair_scoring::finding_codes;

finding_codes! {
    /// A kind of finding about a challenge's bundle or the times that a submission declares.
    pub enum HostingCode {
        BundleSchema = "bundle-schema", Error, "a bundle breaks a rule of its platform",
            cause: "One of the organiser's pages, pictures or settings breaks the rule.",
            fix: "Correct what the message names, and make the bundle again.";
        TimeMismatch = "time-mismatch", Warning, "the times in the archive's name differ from the enclosed record",
            cause: "The archive was named by hand, or contains the record of another run.",
            fix: "Pack with `flair-bench package --timing timing.json`, which names the archive after its record.";
        TimeNotWhole = "time-not-whole", Warning, "the clock does not cover all predictions",
            cause: "The prediction was stopped and resumed: the clock does not cover the earlier predictions.",
            fix: "Predict all patches in one go, and enclose that run's `timing.json`.";
        UnreadableTimes = "unreadable-times", Warning, "the times in a name cannot be read",
            cause: "The times have leading zeros or 60 seconds and more, or other signs than `-` between minutes and seconds.",
            fix: "Write both times as minutes and seconds without leading zeros, such as `unet_5-57_14-40`, or pack with `flair-bench package`.";
        UnreadableRecord = "unreadable-record", Warning, "an enclosed record of times cannot be read",
            cause: "The record was edited, comes from another program, or several records have the same name.",
            fix: "Enclose the unchanged `timing.json` and `run.json` of one run, or none.";
        TimesUnknown = "times-unknown", Note, "the submission declares no times",
            cause: "Platforms do not pass on the name of the archive, and no `timing.json` is enclosed.",
            fix: "Enclose `timing.json`, or put the named archive into the uploaded archive.";
    }
}
