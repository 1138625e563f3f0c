//! Checks whether a program is linked statically, so that it runs in any image for x86-64 Linux.

/// The linkage of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Static: it needs only an x86-64 Linux.
    Static,
    /// Dynamic: it needs shared libraries.
    Dynamic,
    /// Not a program for x86-64 Linux.
    Unknown,
}

/// Type of the program header that names the dynamic linker (ELF specification, `PT_INTERP`).
const INTERPRETER: u32 = 3;

/// The linkage of an ELF file for x86-64: static if no program header names a dynamic linker. Offsets and sizes that
/// the file claims are checked before use.
pub fn linkage(program: &[u8]) -> Linkage {
    headers(program).map_or(Linkage::Unknown, |mut kinds| {
        if kinds.any(|kind| kind == INTERPRETER) { Linkage::Dynamic } else { Linkage::Static }
    })
}

/// The types of the program headers; `None` if the file isn't an ELF file for x86-64, or is cut short.
fn headers(file: &[u8]) -> Option<impl Iterator<Item = u32>> {
    // 64 bits, little-endian, x86-64 (62).
    let is_elf = file.starts_with(b"\x7fELF\x02\x01") && number::<2>(file, 18)? == 62;
    let start = usize::try_from(number::<8>(file, 32)?).ok().filter(|_| is_elf)?;
    let [size, count] = [number::<2>(file, 54)?, number::<2>(file, 56)?].map(|n| usize::try_from(n).unwrap_or(0));
    let table = file.get(start..start.checked_add(size.checked_mul(count)?)?).filter(|_| size >= 4 && count > 0)?;
    Some(table.chunks_exact(size).filter_map(|header| u32::try_from(number::<4>(header, 0)?).ok()))
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An ELF header with program headers of those types.
    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18] = 62;
        file[32] = 64;
        file[54] = 56;
        file[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            file.extend(kind.to_le_bytes());
            file.extend([0; 52]);
        }
        file
    }

    proptest! {
        #[test]
        fn no_file_is_too_odd_to_look_at(start in 0usize..20, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let head = &elf(&[1])[..start.min(64)];
            let _ = linkage(&[head, &bytes].concat());
        }
    }

    #[test]
    fn an_interpreter_makes_a_program_dynamic() {
        assert_eq!(linkage(&elf(&[1, 2])), Linkage::Static);
        assert_eq!(linkage(&elf(&[6, 3, 1])), Linkage::Dynamic);
        let [mut arm, mut lying] = [elf(&[1]), elf(&[1])];
        arm[18] = 183;
        lying[56..58].copy_from_slice(&[255, 255]);
        for other in [&b"#!/bin/sh\n"[..], b"", &elf(&[1])[..63], &elf(&[]), &arm, &lying] {
            assert_eq!(linkage(other), Linkage::Unknown);
        }
        lying[32..40].copy_from_slice(&[255; 8]);
        assert_eq!(linkage(&lying), Linkage::Unknown);
    }
}
