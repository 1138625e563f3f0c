//! Circles of files or rooms that need each other.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::{self, Write},
};

use super::sources::{File, Sources};

/// One thing that needs another, and the line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    /// `src/a.rs:3`.
    pub(crate) location: String,
    /// The line's text.
    pub(crate) text: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, location, text } = self;
        write!(f, "{from} needs {to}: {location}: {text}")
    }
}

/// The circles as text, an arrow a line; empty if there are none.
pub(crate) fn describe(circles: &[Vec<Arrow>]) -> String {
    let mut text = String::new();
    for (number, circle) in circles.iter().enumerate() {
        let _ = writeln!(text, "circle {}:", number + 1);
        for arrow in circle {
            let _ = writeln!(text, "  {arrow}");
        }
    }
    text
}

impl Sources {
    /// Circles between files.
    pub(crate) fn circles_of_files(&self) -> Vec<Vec<Arrow>> {
        self.circles(|file| file.shown.clone())
    }

    /// Circles between rooms, which are the crate's top modules.
    pub(crate) fn circles_of_rooms(&self) -> Vec<Vec<Arrow>> {
        self.circles(|file| file.room.clone())
    }

    fn circles(&self, node: impl Fn(&File) -> String) -> Vec<Vec<Arrow>> {
        let mut graph = Graph::new();
        for ((from, to), line) in self.arrows() {
            let (from, to) = (&self.files[from], &self.files[to]);
            let text = from.lines.get(line - 1).map_or("", |line| line.trim()).to_owned();
            let location = format!("{}:{line}", from.shown);
            let arrow = Arrow { from: node(from), to: node(to), location, text };
            if arrow.from != arrow.to {
                graph.entry(arrow.from.clone()).or_default().entry(arrow.to.clone()).or_insert(arrow);
            }
        }
        circles(graph)
    }
}

/// By where arrows begin, then by where they end.
type Graph = BTreeMap<String, BTreeMap<String, Arrow>>;

/// Circles with no arrow in common, the shortest first.
fn circles(mut graph: Graph) -> Vec<Vec<Arrow>> {
    let mut found = Vec::new();
    while let Some(circle) = graph.keys().filter_map(|node| circle_through(&graph, node)).min_by_key(Vec::len) {
        for arrow in &circle {
            graph.entry(arrow.from.clone()).or_default().remove(&arrow.to);
        }
        found.push(circle);
    }
    found
}

/// The shortest circle through a node.
fn circle_through(graph: &Graph, start: &str) -> Option<Vec<Arrow>> {
    let mut reached_by: BTreeMap<&str, &Arrow> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for (next, arrow) in graph.get(node).into_iter().flatten() {
            if !reached_by.contains_key(next.as_str()) {
                reached_by.insert(next, arrow);
                queue.push_back(next);
            }
        }
        if let Some(last) = reached_by.get(start) {
            let mut circle = vec![(*last).clone()];
            while circle[circle.len() - 1].from != start {
                circle.push(reached_by[circle[circle.len() - 1].from.as_str()].clone());
            }
            circle.reverse();
            return Some(circle);
        }
    }
    None
}
