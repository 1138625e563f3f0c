//! Commands for the user to copy.

/// An argument quoted for a POSIX shell, if it has special characters.
pub(crate) fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        assert_eq!(quoted("runs/utt-1/best.safetensors"), "runs/utt-1/best.safetensors");
        assert_eq!(quoted("my run"), "'my run'");
        assert_eq!(quoted("it's {name: adam}"), r"'it'\''s {name: adam}'");
        assert_eq!(quoted(""), "''");
    }
}
