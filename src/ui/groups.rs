//! The scores of domains, zones or patches as a table.

use comfy_table::Cell;
use flair_scoring::{analysis::groups::GroupReport, dataset::locations::Unit, text::shown};

use super::{
    cells::{figure, right},
    fitted::{Fitted, kept, spare},
};

/// One line per domain, zone or patch, in at most `width` columns.
pub(super) fn groups(unit: Unit, groups: &[GroupReport], width: Option<u16>) -> String {
    let patches = (unit != Unit::Patch).then(|| spare(3, "patches"));
    let mut header: Vec<_> = [kept(Cell::new(unit))].into_iter().chain(patches).collect();
    header.extend([spare(5, "pixels"), kept(right("mIoU")), spare(2, "classes"), spare(1, "overall accuracy")]);
    header.extend([spare(4, "mean accuracy"), spare(4, "kappa")]);
    let mut table = Fitted::new(header);
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
    table.text(width)
}
