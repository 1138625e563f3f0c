//! Names as parts of file names.

use deunicode::deunicode;
use flair_scoring::files::sha256_of;

/// Maximum length of a slug.
const MAX_SLUG: usize = 80;

/// A name in lower case, transliterated and reduced to `a-z`, `0-9` and `-`: `FLAIR#2 test` is `flair2-test`, `Forêt` is
/// `foret`. Never empty. Different names can have one slug.
pub fn slug(name: &str) -> String {
    reduce(&deunicode(name))
}

/// The slug of earlier versions, which did not transliterate; files that they wrote are still read.
pub(crate) fn earlier_slug(name: &str) -> String {
    reduce(name)
}

/// The slug of `name` and eight digits of the SHA-256 of `hashed`.
pub(crate) fn slug_with_digest(name: &str, hashed: &str) -> String {
    format!("{}-{:.8}", slug(name), sha256_of(hashed.as_bytes()))
}

/// Whether a slug of this name is recognisably the name: it has only ASCII letters, digits, spaces, `-`, `_` and `.`,
/// and the slug is not cut.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
    name.len() <= MAX_SLUG && name.chars().all(is_kept) && name.contains(|c: char| c.is_ascii_alphanumeric())
}

/// The name of a benchmark's folder. All spellings of a name that differ in case or punctuation between words have one
/// folder; names in other scripts have a digest, since transliterations can be equal.
pub(crate) fn folder_name(benchmark: &str) -> String {
    let slug = slug(benchmark);
    let has_word = benchmark.contains(|c: char| c.is_ascii_alphanumeric());
    if benchmark.is_ascii() && benchmark.len() <= MAX_SLUG && has_word {
        slug
    } else {
        slug_with_digest(benchmark, &benchmark_key(benchmark))
    }
}

/// What all spellings of a benchmark's name have in common: its letters, in lower case, and its digits. `#`, spaces and
/// punctuation do not matter, but numbers stay apart: `FLAIR2 test` is `FLAIR#2 test`, `v1.0` is not `v10`.
pub fn benchmark_key(name: &str) -> String {
    let mut key = String::new();
    let mut is_after_gap = false;
    for c in name.chars().filter(|&c| c != '#') {
        if c.is_alphanumeric() {
            if is_after_gap && c.is_numeric() && key.ends_with(char::is_numeric) {
                key.push('-');
            }
            is_after_gap = false;
            key.extend(c.to_lowercase());
        } else {
            is_after_gap = true;
        }
    }
    if key.is_empty() { name.trim().to_owned() } else { key }
}

fn reduce(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().filter(|&c| c != '#') {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX_SLUG);
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
        assert_eq!(slug("Forêt d'Orléans"), "foret-d-orleans");
        assert_eq!((slug("日本"), slug("中国")), ("ri-ben".to_owned(), "zhong-guo".to_owned()));
        assert_eq!((slug("\0 !"), slug(&"x".repeat(300)).len()), ("unnamed".to_owned(), MAX_SLUG));
        assert_eq!(earlier_slug("日本"), "unnamed");
        assert_eq!(slug_with_digest("日本", "日本").len(), "ri-ben-".len() + 8);
        assert!(
            is_plain("U-Net_v1.5 b") && !is_plain("U-T&T") && !is_plain("café") && !is_plain("...") && !is_plain("")
        );
    }

    #[test]
    fn spellings_of_a_benchmark_have_one_key_and_numbers_stay_apart() {
        for same in ["FLAIR2 test", "flair #2 TEST", "FLAIR-2-test", " FLAIR#2 test "] {
            assert_eq!(benchmark_key(same), benchmark_key("FLAIR#2 test"), "{same}");
        }
        for (one, other) in [("v1.0", "v10"), ("日本", "中国"), ("!!!", "???"), ("FLAIR#2 tset", "FLAIR#2 test")] {
            assert_ne!(benchmark_key(one), benchmark_key(other));
            assert_ne!(folder_name(one), folder_name(other));
        }
        assert_eq!(folder_name("My board"), folder_name("my-board"));
        assert_eq!(folder_name("FLAIR#2 test"), "flair2-test");
        assert_ne!(folder_name(&"x".repeat(90)), folder_name(&"x".repeat(91)));
    }
}
