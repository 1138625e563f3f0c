use super::*;
use crate::{CLASSES, RawLabel, seeds};

fn error(text: &str) -> String {
    Protocol::from_yaml(text, "the test").unwrap_err().to_string()
}

#[test]
fn the_challenges_classes_are_those_of_the_types() {
    let protocol = Protocol::flair2();
    assert_eq!((protocol.id(), protocol.name(), protocol.class_count()), ("flair2", "flair2", 13));
    for (listed, class) in protocol.classes().iter().zip(&CLASSES) {
        assert_eq!((listed.name.as_str(), listed.colour.0), (class.name, class.colour));
        assert_eq!(listed.averaged, class.id != crate::ClassId::OTHER);
    }
    for label in 0..=255 {
        let class = RawLabel::new(label).map_or(LabelTable::NO_LABEL, |label| label.class().value());
        assert_eq!(protocol.labels().get(label), class);
    }
}

#[test]
fn all_that_ships_is_valid_and_known_by_its_name() {
    for (name, _) in PROTOCOLS {
        let protocol = Protocol::named(name).unwrap();
        assert_eq!((protocol.id(), protocol.name()), (name, name));
        for (classes, _) in NOMENCLATURES {
            let other = protocol.with_nomenclature(classes).unwrap();
            let is_own = classes == protocol.definition().nomenclature.name;
            let id = if is_own { name.to_owned() } else { format!("{name}/{classes}") };
            assert_eq!(other.id(), id);
            // What a record holds of it is all that there is.
            let record: Definition = serde_json::from_str(&serde_json::to_string(other.definition()).unwrap()).unwrap();
            let read = Protocol::from_definition(record).unwrap();
            assert_eq!((&read, read.id()), (&other, other.id()));
        }
    }
}

#[test]
fn hub_counts_other_classes_from_zero() {
    let hub = Protocol::named("flair-hub").unwrap().with_nomenclature("flair-hub-19").unwrap();
    assert_eq!(hub.labels().get(0), 0);
    assert_eq!((hub.classes()[11].name.as_str(), hub.labels().get(19)), ("vineyard", LabelTable::NO_LABEL));
    let outside: Vec<_> = hub.classes().iter().filter(|class| !class.averaged).map(|class| &class.name).collect();
    assert_eq!(outside, ["clear cut", "ligneous", "mixed", "undefined"]);
}

#[test]
fn a_file_says_classes_labels_and_rules() {
    let text = "
name: cover
classes:
  - {name: built, colour: '#ff0000', labels: [1, 2, 18]}
  - {name: green, colour: '#00FF00', labels: [5, 6, 7]}
  - {name: rest, colour: '#000000', labels: [3]}
excluded: [rest]
excluded_pixels: removed
absent: zero
ignored_labels: [0, 255]
";
    let protocol = Protocol::from_yaml(text, "the test").unwrap();
    assert_eq!(protocol.class_count(), 3);
    let of = [0, 1, 2, 3, 4, 18, 255].map(|label| protocol.labels().get(label));
    let (ignored, none) = (LabelTable::IGNORED, LabelTable::NO_LABEL);
    assert_eq!(of, [ignored, 0, 0, 2, none, 0, ignored]);
    assert_eq!(protocol.classes().iter().map(|class| class.averaged).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(protocol.classes()[1].colour, Colour([0, 255, 0]));
    assert_eq!(Protocol::from_yaml(&protocol.to_yaml(), "the test").unwrap(), protocol);
    let listed =
        Protocol::from_yaml("{name: mine, nomenclature: flair-19, excluded: [snow], absent: zero}", "").unwrap();
    assert_eq!(Protocol::from_yaml(&listed.to_yaml(), "the test").unwrap().id(), listed.id());
    // The id contains the name and a digest: another file with the same name is another protocol.
    let other = Protocol::from_yaml(&text.replace("absent: zero", "absent: skipped"), "the test").unwrap();
    assert!(protocol.id().starts_with("cover@") && other.id().starts_with("cover@"));
    assert_ne!((&protocol, protocol.id()), (&other, other.id()));
}

#[test]
fn the_example_is_valid_and_holds_every_label_once() {
    let protocol = Protocol::from_yaml(EXAMPLE, "the example").unwrap();
    let outside: Vec<_> =
        protocol.classes().iter().filter(|class| !class.averaged).map(|class| class.name.as_str()).collect();
    assert_eq!((protocol.class_count(), outside), (5, vec!["bare soil"]));
    let known = (0..=255).filter(|label| protocol.labels().get(*label) != LabelTable::NO_LABEL);
    assert!(known.eq(1..=19));
    // Every field is there.
    for field in ["nomenclature", "classes", "excluded", "excluded_pixels", "absent", "ignored_labels", "averaged"] {
        assert!(EXAMPLE.contains(&format!("{field}:")), "{field}");
    }
}

#[test]
fn mistakes_are_errors() {
    let class = |name: &str, label: &str| format!("{{name: {name}, colour: '#000000', labels: [{label}]}}");
    let classes = |list: &[String]| format!("{{name: mine, classes: [{}]}}", list.join(", "));
    let lines = [
        error("name: mine"),
        error("{name: mine, nomenclature: flair2-13, classes: []}"),
        error("{name: mine, nomenclature: flair3}"),
        error("{name: flair2, nomenclature: flair2-13}"),
        error("{name: mine, nomenclature: flair2-13, excluded: [trees]}"),
        error("{name: mine, nomenclature: flair2-13, ignored_labels: [19]}"),
        error("{name: mine, nomenclature: flair2-13, absent: maybe}"),
        error("{name: mine, nomenclature: flair2-13, colour: red}"),
        error("{name: \"\\e[2J\", nomenclature: flair2-13}"),
        error(&classes(&[class("a", "1")])),
        error(&classes(&[class("a", "1"), class("a", "2")])),
        error(&classes(&[class("a", "1"), class("b", "1")])),
        error(&classes(&[class("a", ""), class("b", "")])),
        error(&classes(&[class("a", "256"), class("b", "1")])),
        error(&classes(&[class("a", "-1"), class("b", "1")])),
        error(&classes(&[class("a", "x"), class("b", "1")])),
        error("{name: mine, nomenclature: flair2-13, ignored_labels: [1.5]}"),
        error(&classes(&[class("a", "1"), class("b", "2")]).replace("#000000", "black")),
        Protocol::find("flair3").unwrap_err().to_string(),
        Protocol::flair2().with_nomenclature("flair3").unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    `the test` is no protocol: expected either `nomenclature`, a name, or `classes`, a list
    `the test` is no protocol: expected either `nomenclature`, a name, or `classes`, a list
    there is no nomenclature `flair3`: expected one of flair2-13, flair-19, flair-hub-19, or a file that ends in .yml
    `the test` is no protocol: `flair2` is the name of another protocol: choose a name of your own
    `the test` is no protocol: `excluded` names `trees`, which is none of its classes
    `the test` is no protocol: label 19 is ignored, and a label of `other`
    `the test` is no protocol: line 1, column 47: unknown variant `maybe`, expected one of skipped, zero
      {name: mine, nomenclature: flair2-13, absent: maybe}
                                                    ^
    `the test` is no protocol: line 1, column 39: unknown field `colour`, expected one of name, nomenclature, classes, excluded, excluded_pixels, absent, ignored_labels
      {name: mine, nomenclature: flair2-13, colour: red}
                                            ^
    `the test` is no protocol: `\u{1b}[2J` is no name: expected 1 to 40 characters
    `the test` is no protocol: it has 1 class, expected 2 to 200
    `the test` is no protocol: two classes are called `a`
    `the test` is no protocol: label 1 is given to `a` and to `b`
    `the test` is no protocol: no class has a label
    `the test` is no protocol: line 1, column 62: invalid value: integer `256`, expected a label, a whole number from 0 to 255
      {name: mine, classes: [{name: a, colour: '#000000', labels: [256]}, {name: b, colour: '#000000', labels: [1]}]}
                                                                   ^
    `the test` is no protocol: line 1, column 62: invalid value: integer `-1`, expected a label, a whole number from 0 to 255
      {name: mine, classes: [{name: a, colour: '#000000', labels: [-1]}, {name: b, colour: '#000000', labels: [1]}]}
                                                                   ^
    `the test` is no protocol: line 1, column 62: invalid type: string "x", expected a label, a whole number from 0 to 255
      {name: mine, classes: [{name: a, colour: '#000000', labels: [x]}, {name: b, colour: '#000000', labels: [1]}]}
                                                                   ^
    `the test` is no protocol: line 1, column 56: invalid type: floating point `1.5`, expected a label, a whole number from 0 to 255
      {name: mine, nomenclature: flair2-13, ignored_labels: [1.5]}
                                                             ^
    `the test` is no protocol: line 1, column 42: a colour is written as `#rrggbb`
      {name: mine, classes: [{name: a, colour: 'black', labels: [1]}, {name: b, colour: 'black', labels: [2]}]}
                                               ^
    there is no protocol `flair3`: expected one of flair2, flair-hub, or a file that ends in .yml
    there is no nomenclature `flair3`: expected one of flair2-13, flair-19, flair-hub-19, or a file that ends in .yml
    "#);
}

#[test]
fn files_are_found_by_their_ending_and_limited() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.yml");
    assert!(matches!(Protocol::find(path.to_str().unwrap()), Err(ProtocolError::Io { .. })));
    std::fs::write(&path, "{name: mine, nomenclature: flair-19}").unwrap();
    assert_eq!(Protocol::find(path.to_str().unwrap()).unwrap().class_count(), 19);
    std::fs::write(&path, " ".repeat(300_000)).unwrap();
    let error = Protocol::find(path.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("more than 262144 bytes"), "{error}");
}

#[test]
fn the_fuzzers_inputs_are_there() {
    let own = Protocol::from_yaml("{name: own, nomenclature: flair-19, excluded: [snow], absent: zero}", "").unwrap();
    let list = "name: two\nclasses:\n- {name: a, colour: '#000000', labels: [1, 2]}\n- {name: b, colour: '#ffffff', labels: []}\n";
    let all = "{name: all, classes: [{name: a, colour: '#000000', labels: [0]}, {name: b, colour: '#0000ff', \
               labels: [255]}], ignored_labels: [7], excluded_pixels: removed}";
    let files = [
        ("example.yml", EXAMPLE.to_owned()),
        ("own.yml", own.to_yaml()),
        ("list.yml", list.to_owned()),
        ("labels.yml", all.to_owned()),
        ("anchors.yml", "name: &n x\nclasses: [*n, *n]".to_owned()),
    ];
    seeds::keep("protocol", &files.map(|(name, text)| (name.to_owned(), text.into_bytes())).into());
}

#[test]
fn class_names_that_look_the_same_are_an_error() {
    let classes = |other: &str| {
        let text = format!(
            "{{name: x, classes: [{{name: water, colour: '#000001', labels: [1]}}, {{name: \"{other}\", colour: '#000002', labels: [2]}}]}}"
        );
        Nomenclature::from_yaml(&text, "x.yml").map(|found| found.classes.len()).map_err(|error| error.to_string())
    };
    assert_eq!(classes("water 2"), Ok(2));
    let twin = "`x.yml` is no protocol: two classes are called `water`: the names differ only in invisible characters";
    for other in ["wa\\u200bter", "water\\u2060", "\\u00adwater", "water "] {
        assert_eq!(classes(other), Err(twin.to_owned()), "{other}");
    }
    assert!(classes("\\u200b").unwrap_err().contains("is no name"));
}
