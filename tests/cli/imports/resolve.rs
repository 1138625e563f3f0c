//! Following a path to the file that defines what it names.

use std::collections::BTreeMap;

use super::sources::{Mention, Module, Name, Sources};

/// Longest chain of re-exports that is followed.
const MAX_CHAIN: usize = 32;

/// What a path leads to.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// An item of that file.
    Item(usize),
}

impl Sources {
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
    pub(super) fn arrows(&self) -> BTreeMap<(usize, usize), usize> {
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
}
