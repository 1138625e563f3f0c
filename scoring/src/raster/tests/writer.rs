//! A TIFF writer that writes every layout, right or wrong, and shares no code with the crate's own.

use std::io::Write as _;

use super::Raster;

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) is_planar: bool,
    pub(super) tile: Option<(usize, usize)>,
    pub(super) rows: usize,
    pub(super) compression: u16,
    pub(super) predictor: u16,
    pub(super) photometric: u16,
    pub(super) is_big_endian: bool,
    pub(super) is_big_tiff: bool,
    /// Tags to add or to replace, with their type.
    pub(super) set: Vec<(u16, u16, Vec<u64>)>,
    /// Tags to leave out.
    pub(super) unset: Vec<u16>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            is_planar: false,
            tile: None,
            rows: 7,
            compression: 1,
            predictor: 1,
            photometric: 1,
            is_big_endian: false,
            is_big_tiff: false,
            set: Vec::new(),
            unset: Vec::new(),
        }
    }
}

impl Layout {
    pub(super) fn write(&self, raster: &Raster) -> Vec<u8> {
        let mut file = if self.is_big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        if self.is_big_tiff {
            file.extend([self.number(3, 43), self.number(3, 8), self.number(3, 0), self.number(16, 0)].concat());
        } else {
            file.extend([self.number(3, 42), self.number(4, 0)].concat());
        }
        let (mut offsets, mut byte_counts) = (Vec::new(), Vec::new());
        for (rows, row_len, stride) in self.chunks(raster) {
            let mut samples = rows;
            if self.predictor == 2 {
                for row in samples.chunks_mut(row_len) {
                    (stride..row.len()).rev().for_each(|i| row[i] = row[i].wrapping_sub(row[i - stride]));
                }
            }
            let stored = self.compress(&samples);
            offsets.push(file.len() as u64);
            byte_counts.push(stored.len() as u64);
            file.extend(stored);
        }
        let bands = raster.bands();
        let long = if self.is_big_tiff { 16 } else { 4 };
        let mut tags = vec![
            (256, 3, vec![raster.width() as u64]),
            (257, 4, vec![raster.height() as u64]),
            (258, 3, vec![8; bands]),
            (259, 3, vec![self.compression.into()]),
            (262, 3, vec![self.photometric.into()]),
            (277, 3, vec![bands as u64]),
            (284, 3, vec![if self.is_planar { 2 } else { 1 }]),
            (317, 3, vec![self.predictor.into()]),
            (339, 3, vec![1; bands]),
        ];
        match self.tile {
            None => tags.extend([(273, long, offsets), (278, 3, vec![self.rows as u64]), (279, long, byte_counts)]),
            Some((width, height)) => {
                tags.extend([(322, 3, vec![width as u64]), (323, 4, vec![height as u64])]);
                tags.extend([(324, long, offsets), (325, long, byte_counts)]);
            }
        }
        tags.retain(|(tag, ..)| !self.unset.contains(tag) && self.set.iter().all(|(other, ..)| other != tag));
        tags.extend(self.set.iter().cloned());
        tags.sort_by_key(|(tag, ..)| *tag);
        self.finish(file, &tags)
    }

    fn finish(&self, mut file: Vec<u8>, tags: &[(u16, u16, Vec<u64>)]) -> Vec<u8> {
        let (word, counter, at) = if self.is_big_tiff { (16, 16, 8) } else { (4, 3, 4) };
        let room = if self.is_big_tiff { 8 } else { 4 };
        let mut directory = self.number(counter, tags.len() as u64);
        for (tag, kind, values) in tags {
            let stored: Vec<u8> = values.iter().flat_map(|value| self.number(*kind, *value)).collect();
            directory.extend([self.number(3, (*tag).into()), self.number(3, (*kind).into())].concat());
            directory.extend(self.number(word, values.len() as u64));
            if stored.len() <= room {
                directory.extend(stored.iter().copied().chain([0; 8]).take(room));
            } else {
                directory.extend(self.number(word, file.len() as u64));
                file.extend(stored);
            }
        }
        let offset = self.number(word, file.len() as u64);
        file[at..at + room].copy_from_slice(&offset);
        file.extend(directory);
        file.extend(vec![0; room]);
        file
    }

    /// Samples of every chunk, the length of its rows and the distance of a band's samples.
    fn chunks(&self, raster: &Raster) -> Vec<(Vec<u8>, usize, usize)> {
        let (height, width) = (raster.height(), raster.width());
        let (chunk_width, chunk_height) = self.tile.unwrap_or((width, self.rows));
        let groups: Vec<Vec<usize>> = if self.is_planar {
            (0..raster.bands()).map(|band| vec![band]).collect()
        } else {
            vec![(0..raster.bands()).collect()]
        };
        let mut chunks = Vec::new();
        for bands in groups {
            for top in (0..height).step_by(chunk_height) {
                for left in (0..width).step_by(chunk_width) {
                    let bottom = if self.tile.is_some() { top + chunk_height } else { height.min(top + chunk_height) };
                    let mut samples = Vec::new();
                    for row in top..bottom {
                        for column in left..left + chunk_width {
                            let is_inside = row < height && column < width;
                            let sample = |band| raster.samples()[(band * height + row) * width + column];
                            samples.extend(bands.iter().map(|band| if is_inside { sample(band) } else { 99 }));
                        }
                    }
                    chunks.push((samples, chunk_width * bands.len(), bands.len()));
                }
            }
        }
        chunks
    }

    fn compress(&self, samples: &[u8]) -> Vec<u8> {
        match self.compression {
            5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(samples).unwrap(),
            8 | 32_946 => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(samples).unwrap();
                encoder.finish().unwrap()
            }
            50_000 => ruzstd::encoding::compress_to_vec(samples, ruzstd::encoding::CompressionLevel::Fastest),
            32_773 => samples
                .chunk_by(|a, b| a == b)
                .flat_map(|run| run.chunks(128))
                .flat_map(|run| [if run.len() == 1 { 0 } else { u8::try_from(257 - run.len()).unwrap() }, run[0]])
                .chain([128])
                .collect(),
            _ => samples.to_vec(),
        }
    }

    fn number(&self, kind: u16, value: u64) -> Vec<u8> {
        let size = match kind {
            1 | 2 => 1,
            3 => 2,
            4 | 11 => 4,
            _ => 8,
        };
        let mut bytes = value.to_le_bytes()[..size].to_vec();
        if self.is_big_endian {
            bytes.reverse();
        }
        bytes
    }
}
