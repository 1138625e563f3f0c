//! Writes a toy dataset's files, in the official layout.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use flair_scoring::{
    Event, Progress,
    files::{Durability, write_with},
    lock::{FolderLock, LOCK_FILE, part_name, remove_abandoned},
    raster,
    unfinished::Unfinished,
};
use rayon::prelude::*;
use serde::Serialize;

use super::{
    aerial::{Camera, picture},
    cover::BANDS,
    error::ToyError,
    landscape::Landscape,
    marker::{GENERATOR, MARKER, SCHEMA, ToyDomain, ToyMarker, ToyOptions, VERSION},
    plan::{Patch, ToySplit, Zone, zones},
    scene::Allocator,
    sentinel::series,
};
use crate::{data::npy, random::Generator};

/// A zone with its landscape and camera.
struct World {
    zone: Zone,
    landscape: Landscape,
    camera: Camera,
}

/// One unit of work.
enum Task<'a> {
    Patch(&'a World, &'a Patch),
    Series(&'a World),
}

/// Writes the dataset to a temporary folder beside `root`, and renames it to `root` when it is complete. `None` if
/// `root` exists by then.
pub(super) fn make(root: &Path, options: &ToyOptions, progress: &dyn Progress) -> Result<Option<ToyMarker>, ToyError> {
    let parent = root.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = root.file_name().map_or_else(|| "toy".into(), |name| name.to_string_lossy());
    fs::create_dir_all(parent).map_err(ToyError::io(parent))?;
    remove_abandoned(parent, &name).map_err(ToyError::io(parent))?;
    let part = Unfinished::folder(parent.join(part_name(&name))).map_err(ToyError::io(parent))?;
    let lock =
        FolderLock::take(part.path(), &format!("a process that makes `{}`", root.display())).map_err(ToyError::Lock)?;
    let marker = fill(part.path(), options, progress)?;
    match fs::rename(part.path(), root) {
        Ok(()) => part.finish(),
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
            return Ok(None);
        }
        Err(error) => return Err(ToyError::io(root)(error)),
    }
    // The lock file moved with the folder.
    let moved = root.join(LOCK_FILE);
    drop(lock);
    match fs::remove_file(&moved) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ToyError::io(&moved)(error)),
        _ => Ok(Some(marker)),
    }
}

fn fill(root: &Path, options: &ToyOptions, progress: &dyn Progress) -> Result<ToyMarker, ToyError> {
    let seed = options.seed;
    let mut worlds: Vec<World> = Vec::new();
    let mut allocator = None;
    for zone in zones(seed, options.patches) {
        // One allocator per domain, so that each domain shows every class.
        let is_new = worlds.last().is_none_or(|last| last.zone.domain.name != zone.domain.name);
        if is_new {
            allocator = None;
        }
        let allocator = allocator.get_or_insert_with(|| {
            Allocator::new(&mut Generator::new(seed, &format!("toy/{}/deal", zone.domain.name)))
        });
        let landscape = Landscape::new(seed, &zone, allocator);
        let camera = Camera::new(seed, zone.domain.name);
        worlds.push(World { zone, landscape, camera });
    }

    let tasks: Vec<_> = worlds
        .iter()
        .flat_map(|world| {
            let patches = world.zone.patches.iter().map(move |patch| Task::Patch(world, patch));
            patches.chain([Task::Series(world)])
        })
        .collect();
    progress.event(Event::Started { stage: "toy dataset", steps: tasks.len() as u64 });
    tasks.par_iter().try_for_each(|task| {
        let patch = match task {
            Task::Patch(world, patch) => write_patch(root, world, patch).map(|()| Some(patch.id)),
            Task::Series(world) => write_series(root, seed, world).map(|()| None),
        }?;
        progress.event(Event::Step { patch });
        Ok(())
    })?;

    let patches = || worlds.iter().flat_map(|world| world.zone.patches.iter().map(move |patch| (world, patch)));
    let centroids: BTreeMap<_, _> =
        patches().map(|(_, patch)| (patch.id.file_name("IMG"), Zone::centroid(patch))).collect();
    write_json(&root.join("flair-2_centroids_sp_to_patch.json"), &centroids)?;
    let metadata: BTreeMap<_, _> = patches()
        .map(|(world, patch)| {
            let relief = world.landscape.relief(patch.centre);
            (format!("IMG_{}", patch.id), world.zone.metadata(patch, relief))
        })
        .collect();
    write_json(&root.join("flair_aerial_metadata.json"), &metadata)?;
    let marker = describe(options, &worlds);
    write_json(&root.join(MARKER), &marker)?;
    progress.event(Event::Finished);
    Ok(marker)
}

fn describe(options: &ToyOptions, worlds: &[World]) -> ToyMarker {
    let mut domains: Vec<ToyDomain> = Vec::new();
    for World { zone, .. } in worlds {
        let name = zone.domain.name;
        if domains.last().is_none_or(|last| last.name != name) {
            let split = zone.domain.split;
            domains.push(ToyDomain { name: name.to_owned(), split, zones: Vec::new(), patches: 0 });
        }
        if let Some(domain) = domains.last_mut() {
            domain.zones.push(zone.name.clone());
            domain.patches += zone.patches.len();
        }
    }
    let (schema, generator) = (SCHEMA.to_owned(), GENERATOR.to_owned());
    ToyMarker { schema, synthetic: true, generator, version: VERSION, options: *options, domains }
}

/// The folder of a zone's images, masks or series.
fn folder(root: &Path, zone: &Zone, [train, test, leaf]: [&str; 3]) -> PathBuf {
    let part = if zone.domain.split == ToySplit::Test { test } else { train };
    [part, zone.domain.name, &zone.name, leaf].iter().fold(root.to_owned(), |path, name| path.join(name))
}

fn write_patch(root: &Path, world: &World, patch: &Patch) -> Result<(), ToyError> {
    let World { zone, landscape, camera } = world;
    let images = folder(root, zone, ["flair_aerial_train", "flair_2_aerial_test", "img"]);
    let masks = folder(root, zone, ["flair_labels_train", "flair_2_labels_test", "msk"]);
    let (image_path, mask_path) = (images.join(patch.id.file_name("IMG")), masks.join(patch.id.file_name("MSK")));
    let picture = picture(landscape, camera, zone, patch)
        .ok_or_else(|| ToyError::io(&image_path)(io::ErrorKind::InvalidData.into()))?;
    raster::write(&image_path, &picture.image).map_err(ToyError::io(&image_path))?;
    raster::write(&mask_path, &picture.mask).map_err(ToyError::io(&mask_path))
}

fn write_series(root: &Path, seed: u64, world: &World) -> Result<(), ToyError> {
    let World { zone, landscape, .. } = world;
    let folder = folder(root, zone, ["flair_sen_train", "flair_2_sen_test", "sen"]);
    let path = |what: &str| folder.join(format!("SEN2_sp_{}-{}_{what}", zone.domain.name, zone.name));
    let series = series(seed, zone, landscape);
    let (steps, [rows, columns]) = (series.products.len(), zone.size);
    let data = path("data.npy");
    write_with(&data, Durability::Unsynced, |file| npy::write(file, [steps, BANDS, rows, columns], &series.data))
        .map_err(ToyError::io(&data))?;
    let masks = path("masks.npy");
    write_with(&masks, Durability::Unsynced, |file| npy::write(file, [steps, 2, rows, columns], &series.masks))
        .map_err(ToyError::io(&masks))?;
    let products = path("products.txt");
    let text: String = series.products.iter().flat_map(|product| [product.as_str(), "\n"]).collect();
    write_with(&products, Durability::Unsynced, |file| file.write_all(text.as_bytes())).map_err(ToyError::io(&products))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ToyError> {
    write_with(path, Durability::Unsynced, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
    .map_err(ToyError::io(path))
}
