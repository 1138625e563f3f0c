//! Standard output and standard error: the only writers of the program, which make every text safe to show.

#![expect(clippy::disallowed_methods, reason = "the one file that may: everything else writes through it")]

use std::io::{self, IsTerminal, StderrLock, StdoutLock, Write};

use flair_scoring::text::is_unsafe;

/// Colours of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Red,
    Yellow,
    Cyan,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Red => "\x1b[1;31m",
            Self::Yellow => "\x1b[33m",
            Self::Cyan => "\x1b[36m",
        }
    }
}

const RESET: &str = "\x1b[0m";

/// A stream for people. Names and texts of files, archives and checkpoints may have control characters and
/// bidirectional marks, which a terminal would interpret: they are escaped (`\u{1b}`). Line feeds and tabs pass.
#[derive(Debug)]
pub(crate) struct Screen<W: Write> {
    out: W,
    escapes: bool,
    is_coloured: bool,
    /// The beginning of a character whose other bytes come with the next write.
    begun: Vec<u8>,
}

/// Standard output, for text that people read.
pub(crate) fn stdout() -> Screen<StdoutLock<'static>> {
    let out = io::stdout();
    let is_coloured = colours(&out);
    Screen::new(out.lock(), true, is_coloured)
}

/// Standard output, for JSON, CSV and other formats: to a program, their bytes pass unchanged; to a terminal, they are
/// escaped as [`stdout`] does.
pub(crate) fn stdout_for_programs() -> Screen<StdoutLock<'static>> {
    let out = io::stdout();
    let escapes = out.is_terminal();
    Screen::new(out.lock(), escapes, false)
}

/// Standard error.
pub(crate) fn stderr() -> Screen<StderrLock<'static>> {
    let out = io::stderr();
    let is_coloured = colours(&out);
    Screen::new(out.lock(), true, is_coloured)
}

/// Sends standard output and standard error to the end of a file from now on. [`shared_stderr`] stays what standard error
/// was first.
#[cfg(all(unix, feature = "baselines"))]
pub(crate) fn divert(file: &std::path::Path) -> io::Result<()> {
    use std::{
        fs::File,
        os::fd::{AsFd, OwnedFd},
    };
    let file = File::options().append(true).create(true).open(file)?;
    let first: OwnedFd = io::stderr().as_fd().try_clone_to_owned()?;
    // A second diversion leaves the first stream alone.
    let _ = FIRST.set(File::from(first));
    rustix::stdio::dup2_stdout(&file)?;
    rustix::stdio::dup2_stderr(&file)?;
    Ok(())
}

/// On other systems the streams stay what they are.
#[cfg(all(not(unix), feature = "baselines"))]
#[expect(clippy::unnecessary_wraps, reason = "as the function above")]
pub(crate) fn divert(_: &std::path::Path) -> io::Result<()> {
    Ok(())
}

/// Standard error, before it was diverted.
#[cfg(all(unix, feature = "baselines"))]
static FIRST: std::sync::OnceLock<std::fs::File> = std::sync::OnceLock::new();

/// Standard error, as it was before a diversion; nothing without one.
#[cfg(feature = "baselines")]
pub(super) fn shared_stderr() -> Screen<Box<dyn Write>> {
    #[cfg(unix)]
    if let Some(first) = FIRST.get() {
        return Screen::new(Box::new(first), true, false);
    }
    Screen::new(Box::new(io::sink()), true, false)
}

/// Standard error for log lines, whose values `tracing_subscriber` escapes itself.
pub(super) fn log() -> io::Stderr {
    io::stderr()
}

/// Whether standard error is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// The width of the terminal in columns; `None` if standard output is not a terminal.
pub(crate) fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}

/// Whether a stream shows colours: a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is `dumb`.
fn colours(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl<W: Write> Screen<W> {
    const fn new(out: W, escapes: bool, is_coloured: bool) -> Self {
        Self { out, escapes, is_coloured, begun: Vec::new() }
    }

    /// Writes text in a colour, if the stream shows colours.
    pub(crate) fn write_coloured(&mut self, colour: Colour, text: &str) -> io::Result<()> {
        if !self.is_coloured {
            return self.write_all(text.as_bytes());
        }
        self.out.write_all(colour.code().as_bytes())?;
        self.write_all(text.as_bytes())?;
        self.out.write_all(RESET.as_bytes())
    }

    fn write_text(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some((index, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c) && !matches!(c, '\n' | '\t')) {
            write!(self.out, "{}{}", &rest[..index], c.escape_unicode())?;
            rest = &rest[index + c.len_utf8()..];
        }
        self.out.write_all(rest.as_bytes())
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.escapes {
            return self.out.write(bytes);
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.write_text(text)?;
                    break;
                }
                Err(error) => {
                    let (text, after) = rest.split_at(error.valid_up_to());
                    self.write_text(&String::from_utf8_lossy(text))?;
                    let Some(wrong) = error.error_len() else {
                        self.begun = after.to_vec();
                        break;
                    };
                    self.write_text("\u{fffd}")?;
                    rest = &after[wrong..];
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[&[u8]], escapes: bool) -> String {
        let mut screen = Screen::new(Vec::new(), escapes, true);
        for piece in pieces {
            screen.write_all(piece).unwrap();
        }
        String::from_utf8(screen.out).unwrap()
    }

    #[test]
    fn what_a_terminal_would_interpret_is_escaped() {
        let hostile = "a\x1b[2J\x1b]0;title\x07 \u{9b}31m \u{202e}fit\r\n\tb";
        let expected = "a\\u{1b}[2J\\u{1b}]0;title\\u{7} \\u{9b}31m \\u{202e}fit\\u{d}\n\tb";
        assert_eq!(written(&[hostile.as_bytes()], true), expected);
        assert_eq!(written(&[hostile.as_bytes()], false), hostile);
    }

    #[test]
    fn characters_may_come_in_pieces() {
        let text = "é\u{202e}–".as_bytes();
        let pieces: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(written(&pieces, true), "é\\u{202e}–");
        assert_eq!(written(&[b"a\xff\x9bb"], true), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn only_our_own_colours_reach_the_stream() {
        let mut screen = Screen::new(Vec::new(), true, true);
        screen.write_coloured(Colour::Red, "error\x1b[0m").unwrap();
        assert_eq!(screen.out, b"\x1b[1;31merror\\u{1b}[0m\x1b[0m");
        let mut plain = Screen::new(Vec::new(), true, false);
        plain.write_coloured(Colour::Red, "error").unwrap();
        assert_eq!(plain.out, b"error");
    }
}
