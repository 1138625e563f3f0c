//! Reading the sources of a crate: its files, its modules, and what each of them names.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Expr, Item, ItemMod, Lit, Meta, Visibility, visit::Visit};

use super::syntax::{Reader, Segments, attributes_of, is_for_tests, leaves, name_of};

/// The files of a crate, its modules, and what each of them names.
#[derive(Default)]
pub(crate) struct Sources {
    pub(super) files: Vec<File>,
    pub(super) modules: Vec<Module>,
    pub(super) mentions: Vec<Mention>,
}

pub(super) struct File {
    /// As messages show it.
    pub(super) shown: String,
    /// The top module that it is in; the crate's root is its own.
    pub(super) room: String,
    pub(super) lines: Vec<String>,
}

pub(super) struct Module {
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    pub(super) names: BTreeMap<String, Vec<Name>>,
    pub(super) globs: Vec<Segments>,
}

/// What a name in a module is.
pub(super) enum Name {
    Module(usize),
    Item,
    Import(Segments),
}

/// A path that a module's code names.
pub(super) struct Mention {
    pub(super) module: usize,
    pub(super) path: Segments,
    pub(super) line: usize,
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
        let module = if let Some((_, items)) = declared.content {
            let module = self.push_module(self.modules[parent].file, Some(parent));
            self.read_items(module, items, &folder.join(&name), base);
            module
        } else {
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
        };
        self.define(parent, &name, Name::Module(module));
    }

    fn define(&mut self, module: usize, name: &str, what: Name) {
        self.modules[module].names.entry(name.to_owned()).or_default().push(what);
    }
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
