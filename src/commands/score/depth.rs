//! The optional analyses of `score`: groups, worst patches, confidence intervals, comparison.

use std::path::Path;

use anyhow::Context;
use flair_scoring::{
    ScoreReport,
    analysis::{
        bootstrap::{Bootstrap, BootstrapError},
        compare::Comparison,
        groups::{GroupTable, worst_patches},
        uncertainty::Uncertainty,
        units,
    },
    dataset::locations::{Locations, Unit},
    files::{MAX_RECORD, read_text},
    score::{
        boundary::BoundaryWidth,
        evaluate::{Evaluation, Keep},
        pairing::Masks,
    },
    source::Source,
    text::shown,
};

use crate::{
    cli::{DepthArgs, UnitArg},
    exit::{OrExit, Outcome},
};

/// Number of patches that a comparison lists without `--worst`.
const MOST_CHANGED: usize = 10;

/// The requested analyses, checked before anything is scored.
pub(super) struct Depth<'a> {
    arguments: &'a DepthArgs,
    by: Option<Unit>,
    /// The bootstrap's unit, if intervals are requested.
    unit: Unit,
    bootstrap: Bootstrap,
    locations: Locations,
    other: Option<Other>,
}

/// The other side of a comparison.
pub(super) enum Other {
    Record(Box<ScoreReport>),
    Set(Source),
}

impl From<UnitArg> for Unit {
    fn from(unit: UnitArg) -> Self {
        match unit {
            UnitArg::Domain => Self::Domain,
            UnitArg::Zone => Self::Zone,
            UnitArg::Patch => Self::Patch,
        }
    }
}

impl<'a> Depth<'a> {
    pub(super) fn new(arguments: &'a DepthArgs, masks: &Masks) -> Outcome<Self> {
        let DepthArgs { replicates, level, seed, .. } = *arguments;
        let bootstrap = Bootstrap { replicates, level, seed };
        bootstrap.check().or_usage()?;
        let locations = match &arguments.metadata {
            Some(path) => Locations::of_metadata(path).or_input()?,
            None => Locations::of_paths(masks.iter()),
        };
        let are_in = |unit| locations.require(masks.iter().map(|(id, _)| id), unit);
        let (by, drawn) = (arguments.by.map(Unit::from), arguments.bootstrap.flatten().map(Unit::from));
        for unit in by.into_iter().chain(drawn) {
            are_in(unit).context("`--metadata` gives the zones of patches").or_input()?;
        }
        let unit = drawn.unwrap_or(if are_in(Unit::Zone).is_ok() { Unit::Zone } else { Unit::Patch });
        let other = arguments.against.as_deref().map(Other::open).transpose()?;
        Ok(Self { arguments, by, unit, bootstrap, locations, other })
    }

    pub(super) fn keep(&self) -> Keep {
        let DepthArgs { by, worst, bootstrap, .. } = self.arguments;
        let is_by_patch = by.is_some() || worst.is_some() || bootstrap.is_some() || self.other_set().is_some();
        if is_by_patch { Keep::Patches } else { Keep::Sum }
    }

    pub(super) fn boundary(&self) -> Option<BoundaryWidth> {
        self.arguments.boundary.map(|width| width.map_or(BoundaryWidth::Relative, BoundaryWidth::Pixels))
    }

    /// The other predictions, if they must be scored.
    pub(super) fn other_set(&self) -> Option<&Source> {
        match &self.other {
            Some(Other::Set(source)) => Some(source),
            _ => None,
        }
    }

    /// The report of an evaluation with the requested analyses; `other` is the evaluation of [`Depth::other_set`].
    pub(super) fn report(&self, evaluation: &Evaluation, other: Option<&Evaluation>) -> Outcome<ScoreReport> {
        let Self { arguments, locations, unit, bootstrap, .. } = self;
        let Evaluation { by_patch, protocol, .. } = evaluation;
        let mut report = ScoreReport::new(evaluation);
        let table = self.by.map(|unit| GroupTable::new(by_patch, unit, locations, protocol));
        report.groups = table.transpose().or_input()?;
        report.worst_patches = worst_patches(by_patch, protocol, arguments.worst.unwrap_or(0));
        if arguments.bootstrap.is_some() {
            let groups = units::group(locations, by_patch, *unit).or_input()?;
            match Uncertainty::new(&groups, *unit, protocol, *bootstrap) {
                Ok(uncertainty) => report.uncertainty = Some(uncertainty),
                Err(error @ BootstrapError::TooFewUnits { .. }) => {
                    report.notes.push(format!("no intervals by {unit}: {error}"));
                }
                Err(error) => return Err(error).or_usage(),
            }
        }
        if let Some(path) = &arguments.against {
            let name = shown(&path.to_string_lossy());
            let most = arguments.worst.unwrap_or(MOST_CHANGED);
            let comparison = match (&self.other, other) {
                (Some(Other::Record(record)), _) => report.compare(record, &name).map_err(anyhow::Error::from),
                (_, Some(other)) => Comparison::new([evaluation, other], &name, locations, (*unit, *bootstrap), most)
                    .map_err(anyhow::Error::from),
                (_, None) => return Ok(report),
            };
            let doubts = other.map_or(&[][..], |other| &other.findings);
            report.notes.extend(doubts.iter().map(|finding| format!("of `{name}`: {}", finding.message)));
            report.comparison = Some(comparison.with_context(|| format!("cannot compare with `{name}`")).or_input()?);
        }
        Ok(report)
    }
}

impl Other {
    fn open(path: &Path) -> Outcome<Self> {
        if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
            return Ok(Self::Set(Source::open(path).or_input()?));
        }
        let read = || -> anyhow::Result<ScoreReport> { Ok(ScoreReport::from_json(&read_text(path, MAX_RECORD)?)?) };
        let record = read().with_context(|| format!("cannot read `{}`", path.display())).or_input()?;
        Ok(Self::Record(Box::new(record)))
    }
}
