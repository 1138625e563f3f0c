use std::fs;

use super::*;

/// A crate made for a trial: its files with their texts, `lib.rs` among them.
fn trial(files: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let sources = Sources::read(&folder.path().join("lib.rs"), folder.path());
    (folder, sources)
}

fn found_in(files: &[(&str, &str)]) -> [String; 2] {
    let (_folder, sources) = trial(files);
    [describe(&sources.circles_of_files()), describe(&sources.circles_of_rooms())]
}

#[test]
fn a_circle_of_two_files_is_found_with_its_two_lines() {
    let files = [
        ("lib.rs", "pub mod a;\nmod b;\n"),
        ("a.rs", "//! A.\n\nuse std::fmt;\nuse crate::{\n    b::Other,\n};\npub struct One(Other);\n"),
        ("b.rs", "pub struct Other;\nfn f() { println!(\"{}\", super::a::One::NAME); }\n"),
    ];
    let [of_files, of_rooms] = found_in(&files);
    insta::assert_snapshot!(of_files, @r#"
    circle 1:
      a.rs needs b.rs: a.rs:5: b::Other,
      b.rs needs a.rs: b.rs:2: fn f() { println!("{}", super::a::One::NAME); }
    "#);
    insta::assert_snapshot!(of_rooms, @r#"
    circle 1:
      a needs b: a.rs:5: b::Other,
      b needs a: b.rs:2: fn f() { println!("{}", super::a::One::NAME); }
    "#);
}

#[test]
fn rooms_and_files_are_distinguished() {
    // Two files of `a` and one of `b`: no circle of files, and one of rooms.
    let files = [
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a/mod.rs", "mod low;\nmod high;\npub use low::Low;\n"),
        ("a/low.rs", "pub struct Low;\n"),
        ("a/high.rs", "use crate::b;\nfn f() -> b::Middle { loop {} }\n"),
        ("b.rs", "pub struct Middle(crate::a::Low);\n"),
    ];
    let [of_files, of_rooms] = found_in(&files);
    assert_eq!(of_files, "");
    insta::assert_snapshot!(of_rooms, @r"
    circle 1:
      a needs b: a/high.rs:2: fn f() -> b::Middle { loop {} }
      b needs a: b.rs:1: pub struct Middle(crate::a::Low);
    ");
}

#[test]
fn a_reexport_is_followed_to_the_file_that_defines() {
    let module = "mod one;\nmod two;\npub use self::one::{One, Uno as First};\npub use two::*;\n";
    let one = ("room/one.rs", "pub struct One;\npub struct Uno;\n");
    let root = ("lib.rs", "pub mod room;\npub use room::One;\n");
    // `two` imports names of `one` by way of their parent, which imports neither.
    let two = ("room/two.rs", "use super::First;\nuse crate::One;\npub struct Two(One, First);\n");
    assert_eq!(found_in(&[root, ("room/mod.rs", module), one, two]), ["", ""]);
    // The parent's own code uses a name of `two`, and `two` one of the parent's.
    let module = format!("{module}pub fn f() -> Two {{ loop {{}} }}\n");
    let two = ("room/two.rs", "use super::{First, f};\npub struct Two(First);\n");
    insta::assert_snapshot!(found_in(&[root, ("room/mod.rs", &module), one, two])[0], @r"
    circle 1:
      room/mod.rs needs room/two.rs: room/mod.rs:5: pub fn f() -> Two { loop {} }
      room/two.rs needs room/mod.rs: room/two.rs:1: use super::{First, f};
    ");
}

#[test]
fn imports_of_tests_are_ignored() {
    let a = "pub struct A;\n#[cfg(test)]\nuse crate::b::B;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n";
    let a_too = "#[cfg(test)]\nmod checks;\nimpl A { #[cfg(test)] fn f() { crate::b::g(); } }\n";
    let files = [
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a.rs", &format!("{a}{a_too}")),
        ("a/checks.rs", "use crate::b::B;\n"),
        ("b.rs", "use crate::a::A;\npub struct B(A);\n"),
    ];
    assert_eq!(found_in(&files), ["", ""]);
}

#[test]
fn a_module_and_a_function_may_share_a_name() {
    let files = [
        ("lib.rs", "mod score;\nmod table;\npub use score::score;\n"),
        ("score.rs", "pub struct Score;\npub fn score() -> Score { Score }\n"),
        ("table.rs", "use crate::{score, score::Score};\npub fn f() -> Score { score() }\n"),
    ];
    let (_folder, sources) = trial(&files);
    let arrows: Vec<_> = sources.arrows().into_keys().collect();
    assert_eq!(arrows.len(), 1);
    assert_eq!(sources.files[arrows[0].1].shown, "score.rs");
}

#[test]
fn attributes_name_files_too() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a.rs", "#[derive(Serialize)]\nstruct A {\n    #[serde(with = \"crate::b::seconds\")]\n    x: f64,\n}\n"),
        ("b.rs", "use super::a::A;\nmod seconds {}\n"),
    ];
    insta::assert_snapshot!(found_in(&files)[0], @r#"
    circle 1:
      a.rs needs b.rs: a.rs:3: #[serde(with = "crate::b::seconds")]
      b.rs needs a.rs: b.rs:1: use super::a::A;
    "#);
    let called = "#[arg(value_parser = crate::b::seconds)]\nstruct A;\n";
    let files = [files[0], ("a.rs", called), ("b.rs", "use super::a::A;\nfn seconds() {}\n")];
    insta::assert_snapshot!(found_in(&files)[0], @r"
    circle 1:
      a.rs needs b.rs: a.rs:1: #[arg(value_parser = crate::b::seconds)]
      b.rs needs a.rs: b.rs:1: use super::a::A;
    ");
}
