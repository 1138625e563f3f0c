//! Which file of a crate imports which, read from its sources; and the circles among them.
//!
//! An arrow goes from a file to the file that defines what it names. A re-export is followed to the definition. Code
//! under `#[cfg(test)]` is left out. Calls of methods are no arrows: no path names their file.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::{self, Write},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, ImplItem, Item, ItemMod, Lit, Meta, Stmt, TraitItem, UseTree, Visibility,
    spanned::Spanned,
    visit::{self, Visit},
};

/// Longest chain of re-exports that is followed.
const MAX_CHAIN: usize = 32;

/// A path as it is written, by its segments: `["super", "entry", "Entry"]`.
type Segments = Vec<String>;

/// The files of a crate, its modules, and what each of them names.
#[derive(Default)]
pub(crate) struct Sources {
    files: Vec<File>,
    modules: Vec<Module>,
    mentions: Vec<Mention>,
}

struct File {
    /// As messages show it.
    shown: String,
    /// The top module that it is in; the crate's root is its own.
    room: String,
    lines: Vec<String>,
}

struct Module {
    file: usize,
    parent: Option<usize>,
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Segments>,
}

/// What a name in a module is.
enum Name {
    Module(usize),
    Item,
    Import(Segments),
}

/// A path that a module's code names.
struct Mention {
    module: usize,
    path: Segments,
    line: usize,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// An item of that file.
    Item(usize),
}

/// One thing that needs another, and the line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    /// `src/a.rs:3`.
    pub(crate) location: String,
    /// The line's text.
    pub(crate) text: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, location, text } = self;
        write!(f, "{from} needs {to}: {location}: {text}")
    }
}

/// The circles as text, an arrow a line; empty if there are none.
pub(crate) fn describe(circles: &[Vec<Arrow>]) -> String {
    let mut text = String::new();
    for (number, circle) in circles.iter().enumerate() {
        let _ = writeln!(text, "circle {}:", number + 1);
        for arrow in circle {
            let _ = writeln!(text, "  {arrow}");
        }
    }
    text
}

impl Sources {
    /// Reads a crate from its root, `lib.rs` or `main.rs`. Messages show files relative to `base`.
    pub(crate) fn read(root: &Path, base: &Path) -> Self {
        let mut sources = Self::default();
        let folder = root.parent().unwrap().to_owned();
        let room = root.file_name().unwrap().to_string_lossy().into_owned();
        sources.read_file(root, &folder, base, &room, None);
        sources
    }

    /// Reads a file as a module, and the modules that it declares from `folder`.
    fn read_file(&mut self, path: &Path, folder: &Path, base: &Path, room: &str, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let shown = path.strip_prefix(base).unwrap_or(path).display().to_string();
        let lines = text.lines().map(str::to_owned).collect();
        self.files.push(File { shown, room: room.to_owned(), lines });
        let file = self.files.len() - 1;
        let module = self.push_module(file, parent);
        self.read_items(module, parsed.items, folder, base);
        module
    }

    fn push_module(&mut self, file: usize, parent: Option<usize>) -> usize {
        self.modules.push(Module { file, parent, names: BTreeMap::new(), globs: Vec::new() });
        self.modules.len() - 1
    }

    fn read_items(&mut self, module: usize, items: Vec<Item>, folder: &Path, base: &Path) {
        for item in items.into_iter().filter(|item| !is_for_tests(attributes_of(item))) {
            match item {
                Item::Mod(declared) => self.read_module(module, declared, folder, base),
                Item::Use(import) => {
                    let is_reexport = !matches!(import.vis, Visibility::Inherited);
                    for leaf in leaves(&import.tree) {
                        // A re-export is a name for others. It is an arrow where the module's own code uses that name.
                        if !is_reexport {
                            self.mentions.push(Mention { module, path: leaf.path.clone(), line: leaf.line });
                        }
                        match leaf.name {
                            Some(name) => self.define(module, &name, Name::Import(leaf.path)),
                            None if leaf.is_glob => self.modules[module].globs.push(leaf.path),
                            None => {}
                        }
                    }
                }
                item => {
                    if let Some(name) = name_of(&item) {
                        self.define(module, &name, Name::Item);
                    }
                    let mut reader = Reader::default();
                    reader.visit_item(&item);
                    let mentions = reader.found.into_iter().map(|(path, line)| Mention { module, path, line });
                    self.mentions.extend(mentions);
                }
            }
        }
    }

    fn read_module(&mut self, parent: usize, declared: ItemMod, folder: &Path, base: &Path) {
        let name = declared.ident.to_string();
        let module = match declared.content {
            Some((_, items)) => {
                let module = self.push_module(self.modules[parent].file, Some(parent));
                self.read_items(module, items, &folder.join(&name), base);
                module
            }
            None => {
                let path = file_of(&name, &declared.attrs, folder);
                // `a/mod.rs` and `a.rs` both have their modules in `a/`; a file named by `#[path]` beside itself.
                let below = if path.starts_with(folder.join(&name)) || path == folder.join(format!("{name}.rs")) {
                    folder.join(&name)
                } else {
                    path.parent().unwrap().to_owned()
                };
                // The modules of the crate's root are its rooms.
                let room = if parent == 0 { name.clone() } else { self.files[self.modules[parent].file].room.clone() };
                self.read_file(&path, &below, base, &room, Some(parent))
            }
        };
        self.define(parent, &name, Name::Module(module));
    }

    fn define(&mut self, module: usize, name: &str, what: Name) {
        self.modules[module].names.entry(name.to_owned()).or_default().push(what);
    }

    /// What a path leads to, read in that module; `None` for what is of another crate.
    fn resolve(&self, module: usize, path: &[String], chain: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(module),
            "super" => Target::Module(self.modules[module].parent?),
            name => self.look_up(module, name, rest.is_empty(), chain)?,
        };
        for (index, segment) in rest.iter().enumerate() {
            // What follows an item is a variant, a constant or a function of it.
            let Target::Module(module) = target else { break };
            target = match segment.as_str() {
                "self" => target,
                "super" => Target::Module(self.modules[module].parent?),
                name => self
                    .look_up(module, name, index + 1 == rest.len(), chain)
                    // A macro may have made it.
                    .unwrap_or(Target::Item(self.modules[module].file)),
            };
        }
        Some(target)
    }

    /// What a name in a module is. A module and a function may share one: the last segment of a path is the function.
    fn look_up(&self, module: usize, name: &str, is_last: bool, chain: usize) -> Option<Target> {
        if chain > MAX_CHAIN {
            return None;
        }
        let Module { file, names, globs, .. } = &self.modules[module];
        let found = names.get(name).map_or(&[][..], Vec::as_slice).iter().filter_map(|name| match name {
            Name::Module(module) => Some(Target::Module(*module)),
            Name::Item => Some(Target::Item(*file)),
            Name::Import(path) => self.resolve(module, path, chain + 1),
        });
        let found: Vec<_> = found.collect();
        let is_wanted = |target: &&Target| matches!(target, Target::Item(_)) == is_last;
        found.iter().find(is_wanted).or(found.first()).copied().or_else(|| {
            globs.iter().find_map(|glob| match self.resolve(module, glob, chain + 1)? {
                Target::Module(other) if other != module => self.look_up(other, name, is_last, chain + 1),
                _ => None,
            })
        })
    }

    /// The arrows between files, each with the first line that makes it.
    fn arrows(&self) -> BTreeMap<(usize, usize), usize> {
        let mut arrows = BTreeMap::new();
        for Mention { module, path, line } in &self.mentions {
            let from = self.modules[*module].file;
            // A module by itself is no arrow: what is named in it is.
            if let Some(Target::Item(to)) = self.resolve(*module, path, 0).filter(|_| !path.is_empty())
                && from != to
            {
                arrows.entry((from, to)).and_modify(|first: &mut usize| *first = *line.min(first)).or_insert(*line);
            }
        }
        arrows
    }

    /// Circles between files.
    pub(crate) fn circles_of_files(&self) -> Vec<Vec<Arrow>> {
        self.circles(|file| file.shown.clone())
    }

    /// Circles between rooms, which are the crate's top modules.
    pub(crate) fn circles_of_rooms(&self) -> Vec<Vec<Arrow>> {
        self.circles(|file| file.room.clone())
    }

    fn circles(&self, node: impl Fn(&File) -> String) -> Vec<Vec<Arrow>> {
        let mut graph = Graph::new();
        for ((from, to), line) in self.arrows() {
            let (from, to) = (&self.files[from], &self.files[to]);
            let text = from.lines.get(line - 1).map_or("", |line| line.trim()).to_owned();
            let location = format!("{}:{line}", from.shown);
            let arrow = Arrow { from: node(from), to: node(to), location, text };
            if arrow.from != arrow.to {
                graph.entry(arrow.from.clone()).or_default().entry(arrow.to.clone()).or_insert(arrow);
            }
        }
        circles(graph)
    }
}

/// By where arrows begin, then by where they end.
type Graph = BTreeMap<String, BTreeMap<String, Arrow>>;

/// Circles with no arrow in common, the shortest first.
fn circles(mut graph: Graph) -> Vec<Vec<Arrow>> {
    let mut found = Vec::new();
    while let Some(circle) = graph.keys().filter_map(|node| circle_through(&graph, node)).min_by_key(Vec::len) {
        for arrow in &circle {
            graph.entry(arrow.from.clone()).or_default().remove(&arrow.to);
        }
        found.push(circle);
    }
    found
}

/// The shortest circle through a node.
fn circle_through(graph: &Graph, start: &str) -> Option<Vec<Arrow>> {
    let mut reached_by: BTreeMap<&str, &Arrow> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for (next, arrow) in graph.get(node).into_iter().flatten() {
            if !reached_by.contains_key(next.as_str()) {
                reached_by.insert(next, arrow);
                queue.push_back(next);
            }
        }
        if let Some(last) = reached_by.get(start) {
            let mut circle = vec![(*last).clone()];
            while circle[circle.len() - 1].from != start {
                circle.push(reached_by[circle[circle.len() - 1].from.as_str()].clone());
            }
            circle.reverse();
            return Some(circle);
        }
    }
    None
}

/// One name that a `use` brings in.
struct Leaf {
    path: Segments,
    /// The name that it has here; none for `*` and `_`.
    name: Option<String>,
    is_glob: bool,
    line: usize,
}

fn leaves(tree: &UseTree) -> Vec<Leaf> {
    fn walk(tree: &UseTree, before: &[String], found: &mut Vec<Leaf>) {
        let with = |name: String| [before, &[name]].concat();
        let mut leaf = |path: Segments, name: Option<String>, is_glob, span: Span| {
            found.push(Leaf { path, name, is_glob, line: span.start().line });
        };
        match tree {
            UseTree::Path(path) => walk(&path.tree, &with(path.ident.to_string()), found),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, before, found)),
            UseTree::Glob(glob) => leaf(before.to_vec(), None, true, glob.span()),
            UseTree::Name(name) if name.ident == "self" => {
                leaf(before.to_vec(), before.last().cloned(), false, name.span());
            }
            UseTree::Name(name) => leaf(with(name.ident.to_string()), Some(name.ident.to_string()), false, name.span()),
            UseTree::Rename(renamed) => {
                let path = if renamed.ident == "self" { before.to_vec() } else { with(renamed.ident.to_string()) };
                let name = Some(renamed.rename.to_string()).filter(|name| name != "_");
                leaf(path, name, false, renamed.span());
            }
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}

/// The file of a module that is declared without content.
fn file_of(name: &str, attributes: &[Attribute], folder: &Path) -> PathBuf {
    let stated = attributes.iter().filter(|attribute| attribute.path().is_ident("path"));
    let stated = stated.filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(value) => match &value.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(folder.join(text.value())),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let candidates = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    let found = stated.chain(candidates).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no file for the module `{name}` in {}", folder.display()))
}

/// Whether attributes leave something to tests: `#[cfg(test)]`, alone or with other conditions that must all hold.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let words: Vec<String> = flat(list.tokens.clone()).iter().map(ToString::to_string).collect();
        let is_test = words.iter().any(|word| word == "test");
        is_test && !words.iter().any(|word| word == "not" || word == "any")
    })
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Collects the paths of an item's code, inside macros and attributes too.
#[derive(Default)]
struct Reader {
    found: Vec<(Segments, usize)>,
}

impl Reader {
    /// Paths in tokens that nobody parsed: names with `::` between them.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut line = 0;
        let mut colons = 0;
        for token in flat(tokens) {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.push(std::mem::take(&mut path), line);
                        line = name.span().start().line;
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                _ => {
                    self.push(std::mem::take(&mut path), line);
                    colons = 0;
                }
            }
        }
        self.push(path, line);
    }

    fn push(&mut self, path: Segments, line: usize) {
        if !path.is_empty() {
            self.found.push((path, line));
        }
    }
}

/// Tokens without their brackets; a bracket is a comma, so that paths end there.
fn flat(tokens: TokenStream) -> Vec<TokenTree> {
    let comma = || TokenTree::Punct(proc_macro2::Punct::new(',', proc_macro2::Spacing::Alone));
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Group(group) => [vec![comma()], flat(group.stream()), vec![comma()]].concat(),
            token => vec![token],
        })
        .collect()
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_none() {
            self.push(segments, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.read_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        self.read_tokens(list.tokens.clone());
        // serde names functions and modules in texts.
        for token in flat(list.tokens.clone()) {
            let text = token.to_string();
            let text = text.trim_matches('"');
            if ["crate::", "self::", "super::"].iter().any(|begin| text.starts_with(begin)) {
                // What serde calls in a module is in the module's file.
                let path = text.split("::").chain(["call"]).map(str::to_owned).collect();
                self.push(path, token.span().start().line);
            }
        }
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes: &[Attribute] = if let TraitItem::Fn(item) = item { &item.attrs } else { &[] };
        if !is_for_tests(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes: &[Attribute] = if let Stmt::Local(local) = statement { &local.attrs } else { &[] };
        if !is_for_tests(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    /// A `use` within a function.
    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        for leaf in leaves(&import.tree) {
            self.push(leaf.path, leaf.line);
        }
    }
}

/// The rooms of a crate's `src/`: `name/` for folders, `name.rs` for files; without its roots.
pub(crate) fn rooms(src: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(src).unwrap().filter_map(|found| {
        let path = found.unwrap().path();
        let stem = path.file_stem()?.to_str()?.to_owned();
        let is_module = path.join("mod.rs").is_file() || path.with_extension("rs").is_file();
        match stem.as_str() {
            "lib" | "main" => None,
            _ if !is_module => None,
            _ if src.join(&stem).is_dir() => Some(format!("{stem}/")),
            _ => Some(format!("{stem}.rs")),
        }
    });
    names.collect()
}

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
fn a_room_and_its_file_are_told_apart() {
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
fn what_only_tests_import_is_left_out() {
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
