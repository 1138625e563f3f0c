//! What an item's code names: its imports and paths, those in macros and attributes too.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, Meta, Stmt, TraitItem, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

/// A path as it is written, by its segments: `["super", "entry", "Entry"]`.
pub(super) type Segments = Vec<String>;

/// One name that a `use` brings in.
pub(super) struct Leaf {
    pub(super) path: Segments,
    /// The name that it has here; none for `*` and `_`.
    pub(super) name: Option<String>,
    pub(super) is_glob: bool,
    pub(super) line: usize,
}

pub(super) fn leaves(tree: &UseTree) -> Vec<Leaf> {
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

/// Whether attributes leave something to tests: `#[cfg(test)]`, alone or with other conditions that must all hold.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let words: Vec<String> = flat(list.tokens.clone()).iter().map(ToString::to_string).collect();
        let is_test = words.iter().any(|word| word == "test");
        is_test && !words.iter().any(|word| word == "not" || word == "any")
    })
}

pub(super) fn attributes_of(item: &Item) -> &[Attribute] {
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

pub(super) fn name_of(item: &Item) -> Option<String> {
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
pub(super) struct Reader {
    pub(super) found: Vec<(Segments, usize)>,
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
