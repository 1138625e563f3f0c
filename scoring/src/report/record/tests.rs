use std::time::Duration;

use super::*;
use crate::{
    seeds,
    timing::{Devices, Timing},
};

fn report() -> ScoreReport {
    let cells = [(0, 0, 6), (0, 12, 2), (12, 0, 2), (12, 12, 9), (12, 4, 1)];
    let mut evaluation = Evaluation { out_of_range: OutOfRange::Drop, ..Evaluation::of_cells(&cells) };
    evaluation.matrix.add_cells(std::iter::empty(), 5, 0);
    ScoreReport::new(&evaluation)
}

#[test]
fn the_fuzzers_inputs_are_there() {
    let two = "{name: two, classes: [{name: a, colour: '#000000', labels: [1]}, {name: b, colour: '#fF0000', labels: [2], averaged: false}]}";
    let protocol = Protocol::from_yaml(two, "").unwrap();
    let matrix = ConfusionMatrix::new(2, vec![5, 1, 2, 7], 3, 1).unwrap();
    let report = ScoreReport::of_matrix(&matrix, &protocol, 1, OutOfRange::Drop);
    let time = Timing::new(Duration::from_millis(1500), 3, Devices { nodes: 1, per_node: 1 });
    let negative = Timing { seconds: -1.0, device_seconds: -1.0, ..time.clone() };
    let times = [("time.json", time), ("negative.json", negative)];
    let times = times.map(|(name, time)| (name.to_owned(), serde_json::to_vec_pretty(&time).unwrap()));
    let scores = [("score.json".to_owned(), report.to_json().into_bytes())];
    seeds::keep("record", &scores.into_iter().chain(times).collect());
}

#[test]
fn the_json_reads_well_and_comes_back() {
    let text = report().to_json();
    assert_eq!(ScoreReport::from_json(&text).unwrap(), report());
    let lines: Vec<_> = text.lines().collect();
    insta::assert_snapshot!([&lines[..31], &["  …"], &lines[lines.len() - 42..]].concat().join("\n"), @r##"
    {
      "schema": "flair-bench/score/2",
      "protocol": "flair2",
      "miou": 0.3,
      "classes_averaged": 2,
      "overall_accuracy": 0.75,
      "mean_accuracy": 0.75,
      "mean_f1": 0.375,
      "frequency_weighted_iou": 0.6257142857142858,
      "kappa": 0.5098039215686274,
      "patches": 1,
      "pixels": 25,
      "dropped_pixels": 5,
      "ignored_pixels": 0,
      "out_of_range": "drop",
      "definition": {
        "name": "flair2",
        "nomenclature": {
          "name": "flair2-13",
          "classes": [
            {
              "name": "building",
              "colour": "#db0e9a",
              "labels": [1]
            },
            {
              "name": "pervious surface",
              "colour": "#938e7b",
              "labels": [2]
            },
            {
      …
      "confusion": [
        [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]
      ],
      "costliest": [
        {
          "truth": 12,
          "prediction": 4,
          "pixels": 1,
          "share": 0.08333333333333333,
          "gain": 0.3
        },
        {
          "truth": 0,
          "prediction": 12,
          "pixels": 2,
          "share": 0.25,
          "gain": 0.10000000000000003
        },
        {
          "truth": 12,
          "prediction": 0,
          "pixels": 2,
          "share": 0.16666666666666666,
          "gain": 0.07500000000000001
        }
      ],
      "notes": [
        "5 pixels are left out, predicted above 12: as in upstream's program, they do not count as errors"
      ]
    }
    "##);
}

#[test]
fn records_of_other_patches_cannot_be_compared() {
    let of = |ids: [u32; 2]| {
        let patch_set = Some(crate::dataset::patch_set(ids.into_iter().filter_map(crate::PatchId::new)));
        ScoreReport { patch_set, patches: 2, ..report() }
    };
    assert_eq!(ScoreReport::from_json(&of([1, 2]).to_json()).unwrap(), of([1, 2]));
    assert!(of([1, 2]).compare(&of([1, 2]), "other").is_ok());
    // A record of an earlier version does not name its patches.
    assert!(of([1, 2]).compare(&ScoreReport { patch_set: None, ..of([1, 2]) }, "other").is_ok());
    let error = of([1, 2]).compare(&of([1, 3]), "other").unwrap_err().to_string();
    insta::assert_snapshot!(error, @"not the same patches: both sets have 2 patches, but their IDs differ");
}

#[test]
fn the_note_about_classes_that_count_as_0_agrees_in_number() {
    let note = |cells: &[(usize, usize, u64)]| {
        let protocol = Protocol::named("flair-hub").unwrap();
        ScoreReport::new(&Evaluation { protocol, ..Evaluation::of_cells(cells) }).notes.concat()
    };
    let cells: Vec<_> = (0..11).map(|class| (class, class, 1)).collect();
    let expected = "1 class counts as 0: neither masks nor predictions have it, and the protocol says so";
    assert_eq!(note(&cells), expected);
    let expected = "2 classes count as 0: neither masks nor predictions have them, and the protocol says so";
    assert_eq!(note(&cells[..10]), expected);
}

#[test]
fn the_csv_has_a_row_a_class_and_the_mean() {
    let mut text = Vec::new();
    report().write_csv(&mut text).unwrap();
    insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
    id,class,iou,precision,recall,f1,support,predicted,in_mean,value
    0,building,0.6,0.75,0.75,0.75,8,8,true,
    1,pervious surface,,,,,0,0,false,
    2,impervious surface,,,,,0,0,false,
    3,bare soil,,,,,0,0,false,
    4,water,0.0,0.0,,0.0,0,1,true,
    5,coniferous,,,,,0,0,false,
    6,deciduous,,,,,0,0,false,
    7,brushwood,,,,,0,0,false,
    8,vineyard,,,,,0,0,false,
    9,herbaceous vegetation,,,,,0,0,false,
    10,agricultural land,,,,,0,0,false,
    11,plowed land,,,,,0,0,false,
    12,other,0.6428571428571429,0.8181818181818182,0.75,0.782608695652174,12,11,false,
    ,mean,0.3,,0.75,0.375,,,,
    ,miou,,,,,,,,0.3
    ,overall_accuracy,,,,,,,,0.75
    ,mean_accuracy,,,,,,,,0.75
    ,mean_f1,,,,,,,,0.375
    ,frequency_weighted_iou,,,,,,,,0.6257142857142858
    ,kappa,,,,,,,,0.5098039215686274
    ,"note: 5 pixels are left out, predicted above 12: as in upstream's program, they do not count as errors",,,,,,,,
    "#);
}

#[test]
fn a_record_that_does_not_add_up_is_refused() {
    let refused = |change: &dyn Fn(&mut ScoreReport)| {
        let mut report = report();
        change(&mut report);
        ScoreReport::from_json(&report.to_json()).unwrap_err().to_string()
    };
    let lines = [
        refused(&|r| r.means.miou = Some(0.9)),
        refused(&|r| r.means.miou = None),
        refused(&|r| r.classes[3].scores.iou = Some(1.0)),
        refused(&|r| drop(r.classes.pop())),
        refused(&|r| r.pixels += 1),
        refused(&|r| r.confusion[1] = vec![u64::MAX; 13]),
        refused(&|r| drop(r.confusion.pop())),
        refused(&|r| r.means.kappa = Some(1.0)),
        refused(&|r| r.protocol = "flair-hub".to_owned()),
        refused(&|r| r.definition.nomenclature.classes.truncate(1)),
        refused(&|r| r.schema = "flair-bench/score/1".to_owned()),
        refused(&|r| r.patch_set = Some("F".repeat(64))),
        ScoreReport::from_json("{}").unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    the score record contradicts itself: its figures do not follow from its confusion matrix
    the score record contradicts itself: its figures do not follow from its confusion matrix
    the score record contradicts itself: its figures do not follow from its confusion matrix
    the score record contradicts itself: its figures do not follow from its confusion matrix
    the score record contradicts itself: its matrix and the pixels left out do not add up to its pixels
    the score record contradicts itself: its matrix and the pixels left out do not add up to its pixels
    the score record contradicts itself: its confusion matrix is no square of its classes
    the score record contradicts itself: its figures do not follow from its confusion matrix
    the score record contradicts itself: its protocol is not the one that it describes
    the score record's protocol cannot be used: it has 1 class, expected 2 to 200
    the score record has the schema `flair-bench/score/1`, this version reads `flair-bench/score/2`
    the score record contradicts itself: its `patch_set` is not a SHA-256 digest in hex
    not a score record: missing field `schema` at line 1 column 2
    ");
    // A mean that is no number is null, never NaN.
    assert!(ScoreReport::from_json(&report().to_json().replace("0.6,", "NaN,")).is_err());
}
