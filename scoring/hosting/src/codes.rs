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
        TimeOfOtherPatches = "time-other-patches", Warning, "an enclosed timing record is of another number of patches",
            cause: "The record belongs to another run, such as a trial on a few patches.",
            fix: "Enclose the `timing.json` of the run that made these predictions.";
        UnreadableRecord = "unreadable-record", Warning, "an enclosed record of times cannot be read",
            cause: "The record was edited, states a time that is not above 0, or comes from another program.",
            fix: "Enclose the unchanged `timing.json` and `run.json` of one run, or none.";
        SeveralRecords = "several-records", Warning, "several enclosed records of times have the same name",
            cause: "The records of several runs are enclosed, perhaps with other upper or lower case.",
            fix: "Enclose one `timing.json` and one `run.json`: of several, the one that is worst for the submission counts.";
        TimesUnknown = "times-unknown", Note, "the submission declares no times",
            cause: "Platforms do not pass on the name of the archive, and no `timing.json` is enclosed.",
            fix: "Enclose `timing.json`, or put the named archive into the uploaded archive.";
    }
}
