//! Builds malformed zip archives for tests.

/// One entry; any field may contradict `name` and `data`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) name: &'a [u8],
    /// The bytes in the file, already compressed where `method` says so.
    pub(crate) data: &'a [u8],
    pub(crate) local_name: Option<&'a [u8]>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) attributes: u32,
    pub(crate) size: Option<u32>,
    pub(crate) stored_size: Option<u32>,
    pub(crate) crc: Option<u32>,
    /// The offset of the local header that the directory states.
    pub(crate) offset: Option<u32>,
    /// Extra fields, in the directory alone.
    pub(crate) extra: &'a [u8],
}

impl<'a> Part<'a> {
    /// A well-formed entry, stored without compression.
    pub(crate) fn new(name: &'a [u8], data: &'a [u8]) -> Self {
        let (none, attributes) = (None, 0o100_644 << 16);
        Self {
            name,
            data,
            local_name: None,
            method: 0,
            flags: 0,
            attributes,
            size: none,
            stored_size: none,
            crc: none,
            offset: none,
            extra: b"",
        }
    }

    fn header(&self, name: &[u8], extra: &[u8]) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(self.data);
        let len = u32::try_from(self.data.len()).unwrap();
        let words = [self.crc.unwrap_or(crc.sum()), self.stored_size.unwrap_or(len), self.size.unwrap_or(len)];
        let mut header = Vec::new();
        // Version, flags, method, time, date (1980-01-01).
        for half in [20, self.flags, self.method, 0, 0x21] {
            header.extend(half.to_le_bytes());
        }
        header.extend(words.into_iter().flat_map(u32::to_le_bytes));
        header.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        header.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
        header
    }
}

/// The bytes of an archive with these entries.
pub(crate) fn zip(parts: &[Part<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for part in parts {
        let offset = part.offset.unwrap_or(u32::try_from(file.len()).unwrap());
        let local = part.local_name.unwrap_or(part.name);
        file.extend(b"PK\x03\x04");
        file.extend(part.header(local, b""));
        file.extend(local);
        file.extend(part.data);
        directory.extend(b"PK\x01\x02");
        directory.extend([20, 3]);
        directory.extend(part.header(part.name, part.extra));
        // Comment, disk, internal attributes.
        directory.extend([0; 6]);
        directory.extend(part.attributes.to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend([part.name, part.extra].concat());
    }
    let start = u32::try_from(file.len()).unwrap();
    let count = u16::try_from(parts.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap();
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].concat());
    file.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    file.extend([0, 0]);
    file
}
