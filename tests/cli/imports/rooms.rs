//! The rooms of a crate, from its folder.

use std::{collections::BTreeSet, fs, path::Path};

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
