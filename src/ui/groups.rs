//! The scores of domains, zones or patches as a table.

use comfy_table::{Cell, Table};
use flair_scoring::{analysis::groups::GroupReport, dataset::locations::Unit, text::shown};

use super::cells::{figure, plain, right};

/// One line per domain, zone or patch.
pub(super) fn groups(unit: Unit, groups: &[GroupReport]) -> Table {
    let patches = (unit != Unit::Patch).then(|| right("patches"));
    let numbers = ["pixels", "mIoU", "classes", "overall accuracy", "mean accuracy", "kappa"].map(right);
    let mut table = plain([Cell::new(unit)].into_iter().chain(patches).chain(numbers).collect());
    for group in groups {
        let mut row = vec![Cell::new(shown(&group.name))];
        row.extend((unit != Unit::Patch).then(|| right(group.patches.to_string())));
        row.push(right(group.pixels.to_string()));
        row.extend([right(figure(group.means.miou, 4)), right(group.means.classes_averaged.to_string())]);
        row.extend(
            [group.means.overall_accuracy, group.means.mean_accuracy, group.means.kappa]
                .map(|value| right(figure(value, 4))),
        );
        table.add_row(row);
    }
    table
}
