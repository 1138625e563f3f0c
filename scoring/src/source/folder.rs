//! Lists a folder with its subfolders; follows symbolic links.

use std::{io, path::Path};

use super::{
    entry::{Defect, Entry},
    error::SourceError,
};

pub(super) fn walk(root: &Path, most: usize) -> Result<(Vec<Entry>, usize), SourceError> {
    let io =
        |error: walkdir::Error| SourceError::Io { path: error.path().unwrap_or(root).to_owned(), error: error.into() };
    let (mut entries, mut left_out) = (Vec::new(), 0);
    // Links are followed: keeping predictions on another disk is common. walkdir stops at loops.
    for found in walkdir::WalkDir::new(root).follow_links(true) {
        let found = match found {
            // The folder is listed where the loop begins.
            Err(error) if error.loop_ancestor().is_some() => continue,
            Err(error) => match dangling(&error) {
                Some(link) => (link.to_owned(), None),
                // Another process has just removed or renamed it, such as a file under its temporary name.
                None if error.depth() > 0 && is_missing(&error) => continue,
                None => return Err(io(error)),
            },
            Ok(found) if found.file_type().is_dir() => continue,
            Ok(found) => {
                let metadata = match found.metadata() {
                    Err(error) if is_missing(&error) => continue,
                    other => other.map_err(io)?,
                };
                (found.into_path(), Some(metadata))
            }
        };
        let (path, metadata) = found;
        if entries.len() == most {
            left_out += 1;
            continue;
        }
        let parts = path.strip_prefix(root).unwrap_or(&path).components();
        let parts: Vec<_> = parts.map(std::path::Component::as_os_str).collect();
        let mut defects = Vec::new();
        if parts.iter().any(|part| part.to_str().is_none()) {
            defects.push(Defect::NotUtf8);
        }
        match &metadata {
            None => defects.push(Defect::DanglingLink),
            Some(metadata) if !metadata.is_file() => defects.push(Defect::NotAFile),
            Some(_) => {}
        }
        let name = parts.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        let size = metadata.as_ref().map_or(0, std::fs::Metadata::len);
        let modified = metadata.and_then(|metadata| metadata.modified().ok());
        entries.push(Entry { modified, ..Entry::new(name, size, 0, defects) });
    }
    Ok((entries, left_out))
}

/// The path of the error, if it is a symbolic link without a target.
fn dangling(error: &walkdir::Error) -> Option<&Path> {
    error.path().filter(|path| is_missing(error) && path.is_symlink())
}

fn is_missing(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
}
