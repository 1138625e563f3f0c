//! The parameters of a network, named as in upstream's `state_dict` and sorted by name.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Shape, Tensor, Var};

use flair_scoring::text::shown;

use super::{Init, Mode, arrivals::Announced};
use crate::random::Generator;

/// Whether a parameter is trainable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Trainable.
    Weight,
    /// A buffer: running statistics and their counter.
    Buffer,
}

/// One parameter. Clones share the value.
#[derive(Clone, Debug)]
pub struct Parameter {
    var: Var,
    kind: Kind,
    order: usize,
}

impl Parameter {
    /// Its value, tracked for gradients in training and detached in evaluation.
    ///
    /// # Errors
    /// If the device fails.
    pub fn value(&self, mode: Mode<'_>) -> Result<Tensor> {
        if !mode.is_training() || self.kind != Kind::Weight {
            return Ok(self.var.as_detached_tensor());
        }
        match mode.arrivals() {
            Some(to) => self.var.apply_op1(Announced { parameter: self.var.id(), to: Arc::clone(to) }),
            None => Ok(self.var.as_tensor().clone()),
        }
    }

    /// Its value in the type of `x`, such as bf16: the gradient arrives in the parameter's own type.
    ///
    /// # Errors
    /// If the device fails.
    pub fn like(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.value(mode)?.to_dtype(x.dtype())
    }

    /// Gives its memory back: it has no value any more, and what reads it fails.
    ///
    /// # Errors
    /// If the device is not the CPU.
    pub(super) fn release(&self) -> Result<()> {
        self.var.inplace_op1(&Swap(Mutex::new(CpuStorage::F32(Vec::new()))))
    }

    /// The variable itself.
    pub fn var(&self) -> &Var {
        &self.var
    }

    /// Its place in the order in which the network's parameters were created, about that of the forward pass.
    pub(crate) fn order(&self) -> usize {
        self.order
    }

    /// Whether it is trainable.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// All parameters of a network, by name.
#[derive(Clone, Debug)]
pub struct Parameters {
    by_name: BTreeMap<String, Parameter>,
    dtype: DType,
    /// Type of the tensors that the network computes: the parameters' own, or bf16.
    computed: DType,
    device: Device,
}

/// All differences between a set of tensors and a network's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// Names of the network that the tensors lack.
    pub missing: Vec<String>,
    /// Names of tensors that the network lacks.
    pub unexpected: Vec<String>,
    /// Tensors of the wrong shape: name, expected shape, found shape.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Mismatch {
    /// Every difference as a line, by kind. Names come from files, and are made safe to show.
    fn differences(&self) -> [(&'static str, Vec<String>); 3] {
        let names = |names: &[String]| names.iter().map(|name| shown(name)).collect();
        let shapes =
            self.misshapen.iter().map(|(name, needed, found)| format!("{}: {found:?}, needed {needed:?}", shown(name)));
        [("missing", names(&self.missing)), ("unexpected", names(&self.unexpected)), ("misshapen", shapes.collect())]
    }

    /// Logs every difference, at the level of `-v`.
    pub fn log(&self) {
        for (kind, lines) in self.differences() {
            for line in lines {
                tracing::info!("{kind} {line}");
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

/// Maximum number of tensors of each kind in [`Mismatch`]'s message.
const EXAMPLES: usize = 5;

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} missing, {} unexpected and {} misshapen tensors",
            self.missing.len(),
            self.unexpected.len(),
            self.misshapen.len()
        )?;
        for (kind, lines) in self.differences() {
            for line in lines.iter().take(EXAMPLES) {
                write!(f, "\n  {kind:10}  {line}")?;
            }
            if lines.len() > EXAMPLES {
                write!(f, "\n  {kind:10}  and {} more (-v lists them)", lines.len() - EXAMPLES)?;
            }
        }
        Ok(())
    }
}

impl Parameters {
    /// Names and parameters, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.by_name.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// The parameter `name`.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.by_name.get(name)
    }

    /// Number of trainable values.
    pub fn weight_count(&self) -> usize {
        self.by_name.values().filter(|p| p.kind == Kind::Weight).map(|p| p.var.elem_count()).sum()
    }

    /// The differences between `tensors` and the parameters; `None` if there are none.
    pub fn mismatch(&self, tensors: &BTreeMap<String, Tensor>) -> Option<Mismatch> {
        let (needed, found): (BTreeSet<_>, BTreeSet<_>) = (self.by_name.keys().collect(), tensors.keys().collect());
        let misshapen = self.by_name.iter().filter_map(|(name, parameter)| {
            let found = tensors.get(name)?.dims();
            (found != parameter.var.dims()).then(|| (name.clone(), parameter.var.dims().to_vec(), found.to_vec()))
        });
        let mismatch = Mismatch {
            missing: needed.difference(&found).map(|&name| name.clone()).collect(),
            unexpected: found.difference(&needed).map(|&name| name.clone()).collect(),
            misshapen: misshapen.collect(),
        };
        (!mismatch.is_empty()).then_some(mismatch)
    }

    /// Copies the values of `tensors`, converted to this network's dtype and device. On a mismatch of names or shapes
    /// no parameter changes.
    ///
    /// # Errors
    /// The inner `Result` lists every missing, unexpected and misshapen tensor; the outer one fails if the device
    /// fails.
    pub fn assign(&self, tensors: &BTreeMap<String, Tensor>) -> Result<std::result::Result<(), Mismatch>> {
        if let Some(mismatch) = self.mismatch(tensors) {
            return Ok(Err(mismatch));
        }
        for (name, parameter) in &self.by_name {
            let value = tensors[name].to_device(&self.device)?.to_dtype(parameter.var.dtype())?;
            parameter.var.set(&value.contiguous()?)?;
        }
        Ok(Ok(()))
    }

    /// As [`Parameters::assign`], but the parameters take the memory of the tensors where they can: a checkpoint needs no
    /// second copy. Other handles of the tensors then hold other values.
    ///
    /// # Errors
    /// As [`Parameters::assign`].
    pub fn take(&self, tensors: BTreeMap<String, Tensor>) -> Result<std::result::Result<(), Mismatch>> {
        if let Some(mismatch) = self.mismatch(&tensors) {
            return Ok(Err(mismatch));
        }
        for (name, value) in tensors {
            let var = &self.by_name[&name].var;
            let is_whole = value.is_contiguous() && value.layout().start_offset() == 0;
            if value.device().is_cpu() && self.device.is_cpu() && value.dtype() == var.dtype() && is_whole {
                let held = Swap(Mutex::new(CpuStorage::U8(Vec::new())));
                for tensor in [var.as_tensor(), &value, var.as_tensor()] {
                    tensor.inplace_op1(&held)?;
                }
            } else {
                let value = value.to_device(&self.device)?.to_dtype(var.dtype())?;
                var.set(&value.contiguous()?)?;
            }
        }
        Ok(Ok(()))
    }

    /// All values by name, which share the parameters' memory.
    pub(crate) fn values(&self) -> BTreeMap<String, Tensor> {
        self.by_name.iter().map(|(name, p)| (name.clone(), p.var.as_detached_tensor())).collect()
    }

    /// A copy of all values by name, for a checkpoint.
    ///
    /// # Errors
    /// If the device fails.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        self.by_name.iter().map(|(name, p)| Ok((name.clone(), p.var.as_detached_tensor().copy()?))).collect()
    }

    /// Dtype of the weights: f32 or f64.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Type of the tensors that the network computes: that of the weights, or bf16. Losses and statistics of norms have
    /// the weights' type.
    pub fn computed(&self) -> DType {
        self.computed
    }

    /// Sets the type of the tensors that the network computes.
    pub(crate) fn compute_in(&mut self, dtype: DType) {
        self.computed = dtype;
    }

    /// Device of the weights.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// Exchanges a tensor's memory with the one that it holds.
struct Swap(Mutex<CpuStorage>);

impl InplaceOp1 for Swap {
    fn name(&self) -> &'static str {
        "swap"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        mem::swap(storage, &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

/// Collects the parameters of a network while it is built.
#[derive(Debug)]
pub struct Builder {
    by_name: RefCell<BTreeMap<String, Parameter>>,
    dtype: DType,
    device: Device,
    /// `None` if the weights are 0 until a checkpoint replaces them.
    seed: Option<u64>,
    norm_momentum: f64,
}

/// Momentum of batch norms: the fraction of a batch in the running statistics. torch's default.
pub const NORM_MOMENTUM: f64 = 0.1;

impl Builder {
    /// Parameters of `dtype` (f32 or f64) on `device`. Initial values depend on `seed` and the parameter's name only,
    /// so a part of a network has the same initial values in every network.
    pub fn new(dtype: DType, device: &Device, seed: u64) -> Self {
        Self { seed: Some(seed), ..Self::zeros(dtype, device) }
    }

    /// Parameters whose weights are 0, which costs neither time nor memory: a checkpoint is to replace them.
    pub fn zeros(dtype: DType, device: &Device) -> Self {
        Self { by_name: RefCell::default(), dtype, device: device.clone(), seed: None, norm_momentum: NORM_MOMENTUM }
    }

    /// Sets the momentum of batch norms, `0..=1`; the default is [`NORM_MOMENTUM`].
    #[must_use]
    pub fn with_norm_momentum(self, norm_momentum: f64) -> Self {
        Self { norm_momentum, ..self }
    }

    /// The root scope, without a prefix.
    pub fn root(&self) -> Scope<'_> {
        Scope { builder: self, prefix: String::new() }
    }

    /// All parameters that were created.
    pub fn finish(self) -> Parameters {
        Parameters { by_name: self.by_name.into_inner(), dtype: self.dtype, computed: self.dtype, device: self.device }
    }
}

/// A node in a network's tree of parameter names, like candle's `VarBuilder` with a prefix.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    builder: &'a Builder,
    prefix: String,
}

impl Scope<'_> {
    /// The child scope `name`.
    #[must_use]
    pub fn at(&self, name: impl Display) -> Self {
        Self { builder: self.builder, prefix: self.name(&name.to_string()) }
    }

    /// Momentum of batch norms.
    pub fn norm_momentum(&self) -> f64 {
        self.builder.norm_momentum
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    /// A trainable parameter.
    ///
    /// # Errors
    /// If the device fails.
    pub fn weight(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Parameter> {
        let (name, shape) = (self.name(name), shape.into());
        let Builder { dtype, ref device, seed, .. } = *self.builder;
        let var = match seed {
            None => Var::zeros(shape, dtype, device)?,
            Some(seed) => {
                let values = init.draw(shape.elem_count(), &Generator::new(seed, &name));
                Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)?
            }
        };
        Ok(self.insert(name, var, Kind::Weight))
    }

    /// A running statistic, in the network's dtype.
    ///
    /// # Errors
    /// If the device fails.
    pub fn statistic(&self, name: &str, shape: impl Into<Shape>, value: f64) -> Result<Parameter> {
        let value = Tensor::full(value, shape, &Device::Cpu)?.to_dtype(self.builder.dtype)?;
        let var = Var::from_tensor(&value.to_device(&self.builder.device)?)?;
        Ok(self.insert(self.name(name), var, Kind::Buffer))
    }

    /// A counter: an i64 scalar, initially 0.
    ///
    /// # Errors
    /// If the device fails.
    pub fn counter(&self, name: &str) -> Result<Parameter> {
        Ok(self.insert(self.name(name), Var::new(0i64, &self.builder.device)?, Kind::Buffer))
    }

    fn insert(&self, name: String, var: Var, kind: Kind) -> Parameter {
        let mut by_name = self.builder.by_name.borrow_mut();
        let parameter = Parameter { var, kind, order: by_name.len() };
        let before = by_name.insert(name, parameter.clone());
        debug_assert!(before.is_none(), "two parameters of one name");
        parameter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        let builder = Builder::new(DType::F32, &Device::Cpu, 0);
        builder.root().at("a").weight("w", (2, 3), Init::Constant(1.0)).unwrap();
        builder.root().at("a").weight("b", 3, Init::Constant(1.0)).unwrap();
        builder.root().at("n").counter("seen").unwrap();
        builder.finish()
    }

    #[test]
    fn a_mismatch_lists_every_difference_and_changes_nothing() {
        let parameters = parameters();
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        let tensors =
            BTreeMap::from([("a.w".into(), zeros(&[3, 2])), ("a.b".into(), zeros(&[3])), ("x".into(), zeros(&[1]))]);
        let mismatch = parameters.assign(&tensors).unwrap().unwrap_err();
        insta::assert_snapshot!(mismatch, @r"
        1 missing, 1 unexpected and 1 misshapen tensors
          missing     n.seen
          unexpected  x
          misshapen   a.w: [3, 2], needed [2, 3]
        ");
        assert_eq!(parameters.get("a.b").unwrap().var().to_vec1::<f32>().unwrap(), [1.0; 3]);
    }

    #[test]
    fn parameters_take_what_they_can_and_copy_the_rest() {
        let parameters = parameters();
        let range = |end: f32| Tensor::arange(0f32, end, &Device::Cpu).unwrap();
        let taken = range(3.0);
        let tensors = [
            ("a.b", taken.clone()),
            // Transposed, and a view that starts within its memory; of another type.
            ("a.w", range(12.0).narrow(0, 6, 6).unwrap().reshape((3, 2)).unwrap().t().unwrap()),
            ("n.seen", Tensor::new(7f32, &Device::Cpu).unwrap()),
        ];
        parameters.take(tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into()).unwrap().unwrap();
        let var = |name: &str| parameters.get(name).unwrap().var().as_detached_tensor();
        assert_eq!(var("a.b").to_vec1::<f32>().unwrap(), [0.0, 1.0, 2.0]);
        assert_eq!(var("a.w").to_vec2::<f32>().unwrap(), [[6.0, 8.0, 10.0], [7.0, 9.0, 11.0]]);
        assert_eq!(var("n.seen").to_scalar::<i64>().unwrap(), 7);
        assert_eq!(taken.to_vec1::<f32>().unwrap(), [1.0; 3], "the memory was exchanged");
    }

    #[test]
    fn a_snapshot_is_a_copy() {
        let parameters = parameters();
        let before = parameters.snapshot().unwrap();
        let zeros = before.iter().map(|(n, t)| (n.clone(), t.zeros_like().unwrap())).collect();
        parameters.assign(&zeros).unwrap().unwrap();
        assert_eq!(before["a.b"].to_vec1::<f32>().unwrap(), [1.0; 3]);
        assert_eq!(parameters.get("a.b").unwrap().var().to_vec1::<f32>().unwrap(), [0.0; 3]);
        assert_eq!(parameters.weight_count(), 9);
    }
}
