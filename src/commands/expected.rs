//! The patches that a submission must contain.

use std::collections::BTreeSet;

use flair_scoring::{
    PatchId,
    submission::{official_test, read_ids},
};

use crate::{
    cli::ExpectedArgs,
    exit::{OrExit, Outcome},
};

/// The patches of a list, the challenge's, or the test patches of a dataset; `None` if the arguments name none.
pub(super) fn expected(arguments: &ExpectedArgs) -> Outcome<Option<BTreeSet<PatchId>>> {
    if arguments.official {
        return Ok(Some(official_test()));
    }
    if let Some(list) = &arguments.ids {
        return read_ids(list).map(Some).or_input();
    }
    #[cfg(feature = "baselines")]
    if let Some(root) = &arguments.data {
        use flair_baselines::data::{Dataset, Part};
        let dataset = Dataset::discover(root).or_input()?;
        // A jury may have the labels alone: then their patch numbers are expected.
        let test: BTreeSet<PatchId> = dataset.of_part(Part::Test).map(|record| record.id).collect();
        if test.is_empty() {
            return Err(anyhow::anyhow!("`{}` has no test patches to expect: name them with --ids", root.display()))
                .or_input();
        }
        return Ok(Some(test));
    }
    Ok(None)
}
