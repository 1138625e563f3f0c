//! The page with a submission's details: one self-contained file without scripts.
//!
//! The names of a submission's files are untrusted, and others see the page. So every text is escaped, and the page's
//! own policy forbids scripts and remote content.

use std::fmt::{self, Display, Write};

use super::{rules, times::Declared};
use flair_scoring::{
    Finding, ScoreReport, Severity,
    report::figure::{FigureError, confusion_svg},
    text::{is_unsafe, noun},
    timing::{Hms, Limits},
};

/// Maximum number of findings shown.
pub const MAX_FINDINGS: usize = 500;

/// A text from outside, for HTML: `&`, `<`, `>` and quotes are escaped; what a terminal or a browser would obey
/// (control characters, marks that turn the direction of writing) is spelt out.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' => f.write_char(' ')?,
                c if is_unsafe(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The page of a scored submission.
///
/// # Errors
/// If the confusion matrix cannot be drawn.
pub fn scored(report: &ScoreReport, declared: &Declared, limits: &Limits) -> Result<String, FigureError> {
    let miou = report.means.miou.map_or_else(|| "none".to_owned(), |miou| format!("{miou:.5}"));
    let mut body = format!(
        "<h1>mIoU</h1>\n<p class=\"big\">{miou}</p>\n<p class=\"quiet\">mean over {} classes, overall accuracy {}, {} \
         {}, {} pixels, protocol {}</p>\n",
        report.means.classes_averaged,
        figure(report.means.overall_accuracy),
        report.patches,
        noun(report.patches, "patch"),
        report.pixels,
        Escaped(&report.protocol),
    );
    for note in &report.notes {
        let _ = writeln!(body, "<p class=\"warning\">{}</p>", Escaped(note));
    }
    body.push_str(&findings(&[&report.findings[..], &declared.findings].concat()));
    body.push_str(&classes(report));
    body.push_str(&times(declared, limits));
    let svg = confusion_svg(report)?;
    let explained = Escaped(&rules::explained(&report.definition));
    let _ = writeln!(body, "<h2>Confusion matrix</h2>\n<figure>\n{svg}\n</figure>");
    let _ = writeln!(body, "<h2>Protocol</h2>\n<p>{explained}</p>");
    Ok(page(&format!("mIoU {miou}"), &body))
}

/// The page of a submission that was not scored, with the reasons.
pub fn refused(reason: &str, found: &[Finding]) -> String {
    let body = format!(
        "<h1>Not scored</h1>\n<p>{}. There is no score, and nothing was counted.</p>\n{}",
        Escaped(reason),
        findings(found)
    );
    page("Not scored", &body)
}

fn page(title: &str, body: &str) -> String {
    let style = include_str!("../assets/results.css");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}<p class=\"quiet\">flair-bench {}</p>\n\
         </body>\n</html>\n",
        Escaped(title),
        env!("CARGO_PKG_VERSION")
    )
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.5}"))
}

fn classes(report: &ScoreReport) -> String {
    let mut rows = String::new();
    for (class, listed) in report.classes.iter().zip(&report.definition.nomenclature.classes) {
        let [red, green, blue] = listed.colour.0;
        let row = if class.scores.in_mean { "<tr>" } else { "<tr class=\"out\">" };
        let name = if class.scores.in_mean { class.name.clone() } else { format!("({})", class.name) };
        let cells = class.scores.figures().map(|v| format!("<td>{}</td>", figure(v)));
        let _ = writeln!(
            rows,
            "{row}<td><span class=\"swatch\" style=\"background:#{red:02x}{green:02x}{blue:02x}\"></span>{}</td>{}\
             <td>{}</td><td>{}</td></tr>",
            Escaped(&name),
            cells.concat(),
            class.scores.support,
            class.scores.predicted
        );
    }
    format!(
        "<h2>Classes</h2>\n<table>\n<tr><th>class</th><th>IoU</th><th>precision</th><th>recall</th><th>F1</th>\
         <th>pixels</th><th>predicted</th></tr>\n{rows}</table>\n<p class=\"quiet\">in brackets: not part of the \
         mean</p>\n"
    )
}

fn times(declared: &Declared, limits: &Limits) -> String {
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "not known".to_owned(), |s| Hms(s).to_string());
    let ratio = declared.ratio().map_or_else(|| "not known".to_owned(), |ratio| format!("{ratio:.2}"));
    let verdict = match declared.is_over() {
        Some(true) => "<span class=\"error\">over time</span>",
        Some(false) => "within the rules",
        None => "not judged",
    };
    let limit =
        format!("at most {} device-time, at most {} times the baseline", Hms(limits.device_seconds), limits.factor);
    format!(
        "<h2>Times</h2>\n<table class=\"text\">\n<tr><td>prediction, as declared</td><td>{}</td></tr>\n\
         <tr><td>baseline on the same machine</td><td>{}</td></tr>\n<tr><td>times the baseline</td><td>{ratio}</td></tr>\n\
         <tr><td>rule: {limit}</td><td>{verdict}</td></tr>\n</table>\n",
        time(declared.submission_seconds()),
        time(declared.baseline_seconds()),
    )
}

/// A table of the findings, the worst first; empty without findings.
fn findings(found: &[Finding]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut order: Vec<_> = found.iter().collect();
    order.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut rows = String::new();
    for finding in order.iter().take(MAX_FINDINGS) {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let (code, subject, message) = (Escaped(&finding.code), Escaped(&finding.subject), Escaped(&finding.message));
        let _ = writeln!(
            rows,
            "<tr><td class=\"{word}\">{word}</td><td><code>{code}</code></td><td><code>{subject}</code></td>\
             <td>{message}</td></tr>"
        );
    }
    let more = match found.len().saturating_sub(MAX_FINDINGS) {
        0 => String::new(),
        more => format!("<p>and {more} more</p>\n"),
    };
    format!(
        "<h2>Findings</h2>\n<table class=\"text\">\n<tr><th></th><th>kind</th><th>about</th><th>what</th></tr>\n{rows}\
         </table>\n{more}"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A page that runs nothing and fetches nothing, whose elements are closed.
    fn assert_harmless(page: &str) {
        let lower = page.to_lowercase();
        for banned in
            ["<script", "javascript:", "onerror", "onload", "<img", "<iframe", "<link", "@import", "url(", "src="]
        {
            assert!(!lower.contains(banned), "{banned}");
        }
        let remote: Vec<_> =
            lower.match_indices("http").map(|(at, _)| &lower[at..(at + 30).min(lower.len())]).collect();
        // The namespace of SVG is a name, not an address; the other one is an attribute.
        assert!(
            remote.iter().all(|r| r.starts_with("http://www.w3.org/2000/svg") || r.starts_with("http-equiv")),
            "{remote:?}"
        );
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
        for element in ["table", "tr", "td", "p", "h2", "figure", "svg", "code", "span", "html", "body", "style"] {
            let open = lower.matches(&format!("<{element}>")).count() + lower.matches(&format!("<{element} ")).count();
            assert_eq!(open, lower.matches(&format!("</{element}>")).count(), "{element}");
        }
    }

    #[test]
    fn a_score_is_shown_with_its_matrix_and_times() {
        let report = super::super::leaderboard::tests::report();
        let page = scored(&report, &Declared::default(), &Limits::default()).unwrap();
        assert_harmless(&page);
        for text in [
            "<p class=\"big\">0.79998</p>",
            "<svg",
            "herbaceous vegetation",
            "(other)",
            "protocol flair2",
            "not judged",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert_eq!(scored(&report, &Declared::default(), &Limits::default()).unwrap(), page);
    }

    #[test]
    fn colours_are_the_protocols() {
        let yaml = "{name: own, classes: [{name: water, colour: '#123456', labels: [1]}, \
                    {name: moss, colour: '#00ff01', labels: [2]}]}";
        let protocol = flair_scoring::Protocol::from_yaml(yaml, "a test").unwrap();
        let report = super::super::leaderboard::tests::report_of(protocol, vec![1, 0, 1, 1], 1);
        let page = scored(&report, &Declared::default(), &Limits::default()).unwrap();
        let swatch = |colour, name| format!("style=\"background:{colour}\"></span>{name}</td>");
        // FLAIR #2 has a class "water" too, of another colour, and no "moss".
        assert!(page.contains(&swatch("#123456", "water")) && page.contains(&swatch("#00ff01", "moss")), "{page}");
    }

    #[test]
    fn names_of_strangers_do_nothing() {
        let evil = "<script>alert('1')</script>\"&\x1b[2J\u{202e}\u{0}x";
        let findings =
            [flair_scoring::Code::WrongName.finding(evil, evil), flair_scoring::Code::IdsNotChecked.finding("b", "c")];
        let page = refused(evil, &findings);
        assert_harmless(&page);
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\\u{1b}[2J\\u{202e}\\u{0}x"));
        let report = ScoreReport { notes: vec![evil.to_owned()], ..super::super::leaderboard::tests::report() };
        let hint = flair_scoring::Code::OneBased.finding("all predictions", "labels seem counted from 1");
        let report = ScoreReport { findings: vec![hint], ..report };
        let declared = Declared { findings: findings.to_vec(), ..Declared::default() };
        let page = scored(&report, &declared, &Limits::default()).unwrap();
        assert_harmless(&page);
        assert!(page.contains("labels seem counted from 1") && page.contains("wrong-name"));
    }

    proptest! {
        #[test]
        fn whatever_is_escaped_is_text(text in any::<String>()) {
            let escaped = Escaped(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']) && !escaped.chars().any(char::is_control));
            // Every ampersand begins one of our own five.
            let own = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            prop_assert!(escaped.split('&').skip(1).all(|rest| own.iter().any(|own| rest.starts_with(own))));
        }
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let many: Vec<_> =
            (0..MAX_FINDINGS + 7).map(|i| flair_scoring::Code::IdsNotChecked.finding(i.to_string(), "c")).collect();
        let page = refused("many", &many);
        assert!(page.contains("and 7 more") && page.matches("<tr><td class=\"note\">").count() == MAX_FINDINGS);
    }
}
