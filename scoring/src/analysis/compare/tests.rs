use super::*;
use crate::{ConfusionMatrix, ScoreReport, analysis::units::tests::patch, dataset::locations::tests::locations};

fn evaluation(patches: Vec<PatchConfusion>, protocol: Protocol) -> Evaluation {
    let mut matrix = ConfusionMatrix::empty(protocol.class_count());
    for patch in &patches {
        patch.add_to(&mut matrix);
    }
    let count = patches.len() as u64;
    let patch_set = Some(crate::dataset::patch_set(patches.iter().map(|patch| patch.id)));
    Evaluation { by_patch: patches, patch_set, ..Evaluation::of_matrix(protocol, matrix, count) }
}

/// Four patches of 10 buildings and 10 pixels of water each, all of which are right but for some of the buildings.
fn scored(wrong: [u64; 4]) -> Evaluation {
    let patch = |(number, wrong): (u32, u64)| {
        let cells = [(0, 0, 10 - wrong), (0, 4, wrong), (4, 4, 10)];
        patch(number, &cells)
    };
    evaluation((1..).zip(wrong).map(patch).collect(), Protocol::flair2())
}

fn draw(unit: Unit) -> (Unit, Bootstrap) {
    (unit, Bootstrap { replicates: 400, ..Bootstrap::default() })
}

fn compare(this: &Evaluation, other: &Evaluation, unit: Unit) -> Result<Comparison, CompareError> {
    Comparison::new([this, other], "other", &locations(), draw(unit), 9)
}

#[test]
fn every_level_has_its_difference() {
    let (this, other) = (scored([0, 1, 2, 3]), scored([0, 5, 2, 4]));
    let found = compare(&this, &other, Unit::Patch).unwrap();
    // Buildings 34/40 and 29/40, water 40/46 and 40/51.
    let miou = [f64::midpoint(34.0 / 40.0, 40.0 / 46.0), f64::midpoint(29.0 / 40.0, 40.0 / 51.0)];
    assert_eq!((found.miou.this, found.miou.other), (Some(miou[0]), Some(miou[1])));
    assert_eq!(found.miou.difference, Some(miou[0] - miou[1]));
    assert_eq!(found.classes[0].iou.difference, Some(34.0 / 40.0 - 29.0 / 40.0));
    assert_eq!((found.classes[1].iou, found.classes[4].name.as_str()), (Difference::default(), "water"));
    assert_eq!(found.overall_accuracy.this, Some(74.0 / 80.0));

    let interval = found.miou.interval.unwrap();
    assert!(interval.low >= 0.0 && interval.low < miou[0] - miou[1] && miou[0] - miou[1] < interval.high);
    // It is better unless neither patch 2 nor 4 is drawn: 1 - (1/2)^4.
    assert!((found.miou.better.unwrap() - 0.9375).abs() < 0.05, "{:?}", found.miou.better);
    assert_eq!(found.drawn.unwrap().units, 4);

    let domains: Vec<_> = found.domains.iter().map(|d| (d.name.as_str(), d.patches, d.iou[0])).collect();
    assert_eq!(
        domains,
        [("D001_2020", 3, Some(27.0 / 30.0 - 23.0 / 30.0)), ("D002_2021", 1, Some(7.0 / 10.0 - 6.0 / 10.0)),]
    );
    // The first domain has three patches, of which the second alone is better: it is in 19 of 27 draws.
    let drawn = |index: usize| found.domains[index].miou.interval.zip(found.domains[index].miou.better);
    let (interval, better) = drawn(0).unwrap();
    assert!(interval.low.abs() < 1e-12 && interval.high > found.domains[0].miou.difference.unwrap());
    assert!((better - 19.0 / 27.0).abs() < 0.07, "{better}");
    // The second has one, and drawing domains draws nothing within them.
    assert_eq!((drawn(1), found.domains[0].units, found.domains[1].units), (None, Some(3), None));
    let by_domain = compare(&this, &other, Unit::Domain).unwrap();
    assert!(by_domain.miou.interval.is_some() && by_domain.domains[0].miou.interval.is_none());

    let changed: Vec<_> = found.patches.iter().map(|patch| patch.name.as_str()).collect();
    assert_eq!(changed, ["000002", "000004"]);
}

#[test]
fn swapping_the_sets_changes_the_signs() {
    let (this, other) = (scored([0, 1, 2, 3]), scored([0, 5, 2, 4]));
    let [there, back] = [compare(&this, &other, Unit::Zone).unwrap(), compare(&other, &this, Unit::Zone).unwrap()];
    assert_eq!(there.miou.difference.map(|value| -value), back.miou.difference);
    let [there, back] = [there, back].map(|comparison| comparison.miou.interval.unwrap());
    assert!((there.low + back.high).abs() < 1e-12 && (there.high + back.low).abs() < 1e-12);
}

#[test]
fn a_set_does_not_differ_from_itself() {
    let this = scored([0, 1, 2, 3]);
    let found = compare(&this, &this, Unit::Domain).unwrap();
    assert_eq!((found.miou.difference, found.miou.better, found.patches.len()), (Some(0.0), Some(0.0), 0));
    assert_eq!(found.notes, ["the intervals are rough: there are only 2 domains to draw from"]);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), found);
}

#[test]
fn classes_missing_from_some_draws_are_noted() {
    // Water is in one of four patches: (3/4)^4 = 0.32 of the draws lack it.
    let patches = |wrong| (1..=4).map(|n| patch(n, if n == 2 { &[(4, 4, 5)] } else { wrong })).collect();
    let of = |wrong| evaluation(patches(wrong), Protocol::flair2());
    let found = compare(&of(&[(0, 0, 9)]), &of(&[(0, 0, 8), (0, 2, 1)]), Unit::Patch).unwrap();
    insta::assert_snapshot!(found.notes.join("\n"), @"
    the intervals are rough: there are only 4 patches to draw from
    classes without a difference in some of the 400 replicates: building (2), water (123)
    the intervals of 1 domain draw fewer than 10 units, and are rough
    ");
}

#[test]
fn where_nothing_can_be_drawn_there_are_no_intervals() {
    let one = || evaluation(vec![patch(1, &[(0, 0, 3), (0, 1, 1)])], Protocol::flair2());
    let found = compare(&one(), &one(), Unit::Domain).unwrap();
    assert_eq!((found.drawn, found.miou.interval), (None, None));
    insta::assert_snapshot!(found.notes.join("\n"), @"no intervals by domain: an interval needs at least 2 units to draw from, there is 1");
    // Locations are required only for the requested unit.
    let patches = (1..=2).map(|number| patch(number, &[(0, 0, 3)])).collect();
    let this = evaluation(patches, Protocol::flair2());
    let without = |unit| Comparison::new([&this, &this], "other", &Locations::default(), draw(unit), 9);
    assert!(without(Unit::Patch).unwrap().domains.is_empty());
    assert!(matches!(without(Unit::Zone), Err(CompareError::Location(LocationError::Unknown { .. }))));
    let wrong = (Unit::Patch, Bootstrap { level: 2.0, ..Bootstrap::default() });
    let found = Comparison::new([&this, &this], "other", &Locations::default(), wrong, 9);
    assert!(matches!(found, Err(CompareError::Bootstrap(BootstrapError::Level(_)))));
}

#[test]
fn unlike_is_not_compared() {
    let this = scored([0, 1, 2, 3]);
    let message = |other: &Evaluation| {
        let records = [&this, other].map(ScoreReport::new);
        let of_records = records[0].compare(&records[1], "other").unwrap_err();
        format!("{}\n{of_records}", compare(&this, other, Unit::Patch).unwrap_err())
    };
    let hub = evaluation(this.by_patch.clone(), Protocol::named("flair-hub").unwrap());
    let fewer = evaluation(this.by_patch[1..].to_vec(), Protocol::flair2());
    let mut masks = this.by_patch.clone();
    masks[2] = patch(3, &[(0, 0, 9), (4, 4, 11)]);
    let masks = evaluation(masks, Protocol::flair2());
    insta::assert_snapshot!([message(&hub), message(&fewer), message(&masks)].join("\n"), @r#"
    scored by different protocols, `flair2` and `flair-hub`: score both by one
    scored by different protocols, `flair2` and `flair-hub`: score both by one
    not the same patches: 1 of the one and 0 of the other are not in both, patch 000001 for one
    not the same patches: 1 of the one and 0 of the other are not in both
    not the same pixels of each class in the masks, patch 000003 for one: compare what is scored against the same masks, and with no pixel dropped
    not the same pixels of each class in the masks: compare what is scored against the same masks, and with no pixel dropped
    "#);
}

#[test]
fn records_are_compared_as_wholes() {
    let records = [scored([0, 1, 2, 3]), scored([1, 0, 3, 4])].map(|evaluation| ScoreReport::new(&evaluation));
    let found = records[0].compare(&records[1], "b.json").unwrap();
    let whole = compare(&scored([0, 1, 2, 3]), &scored([1, 0, 3, 4]), Unit::Patch).unwrap();
    assert_eq!(found.miou.difference, whole.miou.difference);
    assert_eq!(found.classes[4].iou.this, whole.classes[4].iou.this);
    assert_eq!((found.drawn, found.domains.len(), found.patches.len()), (None, 0, 0));
}

#[test]
fn the_csv_has_a_row_a_figure() {
    let found = compare(&scored([0, 1, 2, 3]), &scored([0, 5, 2, 4]), Unit::Patch).unwrap();
    let mut text = Vec::new();
    found.write_csv(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    // Rounded: what is drawn is of no interest here.
    let short = |field: &str| field.parse::<f64>().map_or_else(|_| field.to_owned(), |value| format!("{value:.2}"));
    let lines = text.lines().map(|line| line.split(',').map(short).collect::<Vec<_>>().join(","));
    let lines: Vec<_> = lines.filter(|line| !line.ends_with(",,,,,,")).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    what,group,this,other,difference,low,high,better
    miou,,0.86,0.75,0.11,0.00,0.25,0.94
    overall_accuracy,,0.93,0.86,0.06,0.00,0.15,0.94
    iou,class building,0.85,0.72,0.12,0.00,0.30,0.94
    iou,class water,0.87,0.78,0.09,0.00,0.19,0.94
    miou,domain D001_2020,0.90,0.79,0.12,0.00,0.32,0.74
    overall_accuracy,domain D001_2020,0.95,0.88,0.07,0.00,0.20,0.74
    miou,domain D002_2021,0.73,0.66,0.08,,,
    overall_accuracy,domain D002_2021,0.85,0.80,0.05,,,
    miou,patch 000002,0.90,0.58,0.32,,,
    overall_accuracy,patch 000002,0.95,0.75,0.20,,,
    miou,patch 000004,0.73,0.66,0.08,,,
    overall_accuracy,patch 000004,0.85,0.80,0.05,,,
    ");
}
