//! Each renderer's output for the same rankings.

use crate::{Entry, FLAIR2_TEST, Format, entry::tests::entry, rank, render};

/// Two benchmarks, a tie, gaps, an untrained model, and hostile names.
fn entries() -> Vec<Entry> {
    let mut entries = vec![
        Entry { rank: Some(1), input: "aerial+S2".to_owned(), ..entry(FLAIR2_TEST, "winner", 0.6413) },
        Entry { rank: Some(4), ..entry(FLAIR2_TEST, "a|b <script>alert(1)</script> [x](http://evil) @team", 0.6) },
        Entry { std: Some(0.0013), ..entry(FLAIR2_TEST, "=HYPERLINK(\"http://evil\")", 0.6) },
        Entry { notes: "line\nbreak\x1b[2J\u{202e}".to_owned(), ..entry(FLAIR2_TEST, "-1 & *bold* `code`", 0.55) },
        Entry { untrained: true, protocol: "unstated".to_owned(), ..entry("toy", "+toy", 0.01) },
    ];
    entries[0].timing = Some(flair_scoring::timing::Timing::new(
        std::time::Duration::from_millis(892_500),
        16_050,
        flair_scoring::timing::Devices { nodes: 1, per_node: 1 },
    ));
    entries
}

fn rendered(format: &str) -> String {
    render(&rank(&entries()), format.parse().unwrap())
}

#[test]
fn terminal() {
    insta::assert_snapshot!(rendered("terminal"), @r#"
    FLAIR#2 test
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
      #   Official   Team or model                                             mIoU        ±   Device time   Input       Protocol
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
      1          1   winner                                                 0.64130                0:14:53   aerial+S2   flair2
     2=          4   a|b <script>alert(1)</script> [x](http://evil) @team   0.60000                                      flair2
     2=              =HYPERLINK("http://evil")                              0.60000   0.0013                             flair2
      4              -1 & *bold* `code`                                     0.55000                                      flair2
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    The official ranks 2 to 3 are not known.

    toy
    ───────────────────────────────────────────
     #   Team or model         mIoU   Protocol
    ───────────────────────────────────────────
     1   +toy (untrained)   0.01000   unstated
    ───────────────────────────────────────────
    An untrained model's score shows only that the program works.
    "#);
    let narrow = render(&rank(&entries()), Format::Terminal { width: Some(80) });
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    assert!(narrow.lines().count() > rendered("terminal").lines().count() && !narrow.contains('\x1b'));
}

#[test]
fn device_time_counts_all_devices_and_is_never_rounded_down() {
    let time = |seconds: f64, nodes: u32| {
        let devices = flair_scoring::timing::Devices { nodes: 1, per_node: 1 };
        let timing = flair_scoring::timing::Timing::new(std::time::Duration::ZERO, 1, devices);
        // A record may state another product.
        let timing = flair_scoring::timing::Timing { seconds, nodes, device_seconds: 1.0, ..timing };
        let entries = [Entry { timing: Some(timing), ..entry("x", "y", 0.5) }];
        let table = render(&rank(&entries), Format::Markdown);
        let csv = render(&rank(&entries), Format::Csv);
        let cell = table.lines().nth(4).and_then(|row| row.split(" | ").nth(3)).unwrap().to_owned();
        (cell, csv.lines().nth(1).and_then(|row| row.split(',').nth(6)).unwrap().to_owned())
    };
    let shown = [time(1400.0, 4), time(1500.0, 1), time(1500.001, 1), time(10.0, 0)];
    let shown = shown.map(|(cell, data)| format!("{cell} {data}"));
    assert_eq!(shown, ["1:33:20 5600", "0:25:00 1500", "0:25:01 1500.001", "0:00:10 10"]);
}

#[test]
fn markdown() {
    insta::assert_snapshot!(rendered("markdown"), @r#"
    ### FLAIR\#2 test

    | \# | Official | Team or model | mIoU | ± | Device time | Input | Protocol | Notes | Source |
    | ---: | ---: | --- | ---: | ---: | ---: | --- | --- | --- | --- |
    | 1 | 1 | winner | 0.64130 |  | 0:14:53 | aerial+S2 | flair2 |  | a test |
    | 2= | 4 | a\|b &lt;script&gt;alert(1)&lt;/script&gt; \[x\](http&#58;//evil) &#64;team | 0.60000 |  |  |  | flair2 |  | a test |
    | 2= |  | =HYPERLINK("http&#58;//evil") | 0.60000 | 0.0013 |  |  | flair2 |  | a test |
    | 4 |  | -1 &amp; \*bold\* \`code\` | 0.55000 |  |  |  | flair2 | line break\[2J | a test |

    The official ranks 2 to 3 are not known.

    ### toy

    | \# | Team or model | mIoU | Protocol | Source |
    | ---: | --- | ---: | --- | --- |
    | 1 | +toy (untrained) | 0.01000 | unstated | a test |

    An untrained model's score shows only that the program works.
    "#);
}

#[test]
fn csv() {
    insta::assert_snapshot!(rendered("csv"), @r#"
    benchmark,place,rank,name,miou,std,device_seconds,input,protocol,date,notes,source,untrained
    FLAIR#2 test,1,1,winner,0.6413,,892.5,aerial+S2,flair2,,,a test,false
    FLAIR#2 test,2,4,a|b <script>alert(1)</script> [x](http://evil) @team,0.6,,,,flair2,,,a test,false
    FLAIR#2 test,2,,"'=HYPERLINK(""http://evil"")",0.6,0.0013,,,flair2,,,a test,false
    FLAIR#2 test,4,,'-1 & *bold* `code`,0.55,,,,flair2,,line break[2J,a test,false
    toy,1,,'+toy,0.01,,,,unstated,,,a test,true
    "#);
}

#[test]
fn json() {
    let json: serde_json::Value = serde_json::from_str(&rendered("json")).unwrap();
    let rows = json["benchmarks"][0]["rows"].as_array().unwrap();
    let places: Vec<_> =
        rows.iter().map(|row| (row["place"].as_u64().unwrap(), row["tied"].as_bool().unwrap())).collect();
    assert_eq!(places, [(1, false), (2, true), (2, true), (4, false)]);
    assert_eq!(rows[0]["entry"]["miou"], 0.6413);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["benchmarks"][1]).unwrap(), @r#"
    {
      "benchmark": "toy",
      "notes": [
        "An untrained model's score shows only that the program works."
      ],
      "rows": [
        {
          "entry": {
            "benchmark": "toy",
            "miou": 0.01,
            "name": "+toy",
            "protocol": "unstated",
            "schema": "flair-bench/entry/1",
            "source": "a test",
            "untrained": true
          },
          "place": 1,
          "tied": false
        }
      ]
    }
    "#);
}

#[test]
fn an_unknown_format_is_an_error() {
    insta::assert_snapshot!("html".parse::<Format>().unwrap_err(), @"`html` is not a format: expected terminal, markdown, csv or json");
    assert_eq!(render(&[], Format::Markdown), "");
}
