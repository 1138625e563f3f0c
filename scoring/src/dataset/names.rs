//! The names of domains and zones.

/// Whether a folder has a domain's name, such as `D036_2020`: a department of three digits, a year of four.
pub fn is_domain(name: &str) -> bool {
    let parts = name.strip_prefix('D').and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(department, year)| (department.len(), year.len()) == (3, 4) && is_number(&[department, year]))
}

/// Whether a folder has a zone's name, such as `Z17_UA`: a number, and the letters of its two dominant land covers.
pub fn is_zone(name: &str) -> bool {
    let parts = name.strip_prefix('Z').and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(number, kind)| {
        !number.is_empty() && is_number(&[number]) && kind.len() == 2 && kind.bytes().all(|b| b.is_ascii_uppercase())
    })
}

fn is_number(parts: &[&str]) -> bool {
    parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}
