//! Names as parts of file names.

/// A name in lower case, reduced to `a-z`, `0-9` and `-`: `FLAIR#2 test` is `flair2-test`. Never empty.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().filter(|&c| c != '#') {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(80);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "unnamed".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_safe_file_names() {
        assert_eq!(slug("FLAIR#2 test"), "flair2-test");
        assert_eq!(slug("FLAIR#2 (refiltered FLAIR-HUB)"), "flair2-refiltered-flair-hub");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!((slug("é\0 "), slug(&"x".repeat(300)).len()), ("unnamed".to_owned(), 80));
    }
}
