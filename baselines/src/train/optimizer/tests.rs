use super::*;
use crate::{
    nn::{Builder, Init, Mode},
    train::gradients::gradients,
    weights,
};

const SGD: OptimizerConfig = OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 };
const ADAM: OptimizerConfig = OptimizerConfig::Adam { beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weight_decay: 0.1 };
const ADAM_W: OptimizerConfig = OptimizerConfig::AdamW { beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weight_decay: 0.1 };

/// `p` = [1, -2, ½], `q` = [3], and a buffer.
fn parameters() -> Parameters {
    let builder = Builder::new(DType::F64, &Device::Cpu, 0);
    let p = builder.root().weight("p", 3, Init::Constant(0.0)).unwrap();
    p.var().set(&Tensor::new(&[1.0f64, -2.0, 0.5], &Device::Cpu).unwrap()).unwrap();
    builder.root().weight("q", 1, Init::Constant(3.0)).unwrap();
    builder.root().statistic("running", 3, 1.0).unwrap();
    builder.finish()
}

fn values(parameters: &Parameters) -> Vec<f64> {
    ["p", "q"].iter().flat_map(|name| parameters.get(name).unwrap().var().to_vec1::<f64>().unwrap()).collect()
}

/// Steps `steps` of the losses `(k + 1) Σ p³ · [1, ½, -2] + Σ q²`; the second step's leaves out `q`.
fn train(optimizer: &mut Optimizer, parameters: &Parameters, steps: std::ops::Range<usize>) {
    let value = |name| parameters.get(name).unwrap().value(Mode::TRAIN_WITHOUT_DROPOUT).unwrap();
    for k in steps {
        let p = value("p");
        let cube = (p.sqr().unwrap() * p).unwrap();
        let factors = Tensor::new(&[1.0f64, 0.5, -2.0], &Device::Cpu).unwrap();
        let mut loss = ((cube * factors).unwrap().sum_all().unwrap() * (k + 1) as f64).unwrap();
        if k != 1 {
            loss = (loss + value("q").sqr().unwrap().sum_all().unwrap()).unwrap();
        }
        optimizer.step(&Gradients::of(&loss, parameters).unwrap(), 0.1).unwrap();
    }
}

#[test]
fn steps_are_torchs() {
    let read = |text: &str| serde_json::from_str::<OptimizerConfig>(text).unwrap();
    // p and q after three steps of rate 0.1 of torch 2.15's optimisers in float64, `zero_grad(set_to_none=True)`.
    let cases = [
        (OptimizerConfig::default(), [0.257_647_6, -14.266_272_8, 3.566_568_2, 1.92]),
        (
            read(r#"{"name": "sgd", "weight_decay": 0.1}"#),
            [0.251_302_901_76, -13.826_320_764_48, 3.456_580_191_12, 1.872_3],
        ),
        (read(r#"{"name": "sgd", "momentum": 0.9}"#), [-0.388_246_4, -19.497_900_8, 4.874_475_2, 1.38]),
        (
            read(r#"{"name": "sgd", "momentum": 0.9, "weight_decay": 0.1}"#),
            [-0.409_773_630_24, -18.847_642_740_48, 4.711_910_685_12, 1.305_3],
        ),
        (SGD, [-0.353_926_457_377_825_45, -80.781_180_821_093_8, 20.195_295_205_273_45, 0.573_303]),
        (
            read(r#"{"name": "adam"}"#),
            [0.702_526_409_027_487_5, -2.289_563_162_880_731, 0.782_109_604_730_334_6, 2.800_102_707_414_789],
        ),
        (ADAM, [0.700_327_925_417_814_2, -2.292_950_511_999_348, 0.786_384_940_544_636_1, 2.800_191_231_212_777]),
        (
            read(r#"{"name": "adamw"}"#),
            [0.699_785_684_451_594_8, -2.283_330_272_344_596_5, 0.780_368_651_854_391_6, 2.794_209_293_192_886_4],
        ),
        (ADAM_W, [0.673_497_807_056_769_4, -2.231_399_093_665_343_6, 0.769_416_799_352_407, 2.741_547_341_485_264_7]),
    ];
    for (config, expected) in cases {
        let parameters = parameters();
        train(&mut Optimizer::new(config, &parameters).unwrap(), &parameters, 0..3);
        for (found, expected) in values(&parameters).iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-12, "{config:?}: {found} is not {expected}");
        }
        assert_eq!(parameters.get("running").unwrap().var().to_vec1::<f64>().unwrap(), [1.0; 3]);
    }
}

#[test]
fn a_saved_state_resumes_to_identical_bits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.safetensors");
    for config in [OptimizerConfig::default(), SGD, ADAM, ADAM_W] {
        let straight = parameters();
        train(&mut Optimizer::new(config, &straight).unwrap(), &straight, 0..4);
        let stopped = parameters();
        let mut optimizer = Optimizer::new(config, &stopped).unwrap();
        // Stopped where `q` is a step behind.
        train(&mut optimizer, &stopped, 0..2);
        weights::save(&file, &optimizer.state().unwrap(), &BTreeMap::new()).unwrap();
        let mut optimizer = Optimizer::new(config, &stopped).unwrap();
        optimizer.load_state(&weights::read(&file).unwrap().tensors).unwrap();
        train(&mut optimizer, &stopped, 2..4);
        let bits = |p: &Parameters| values(p).into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(&straight), bits(&stopped), "{config:?}");
    }
}

#[test]
fn a_state_that_does_not_fit_lists_every_problem() {
    let parameters = parameters();
    let mut optimizer = Optimizer::new(ADAM, &parameters).unwrap();
    train(&mut optimizer, &parameters, 0..2);
    let mut state = optimizer.state().unwrap();
    assert_eq!(
        state.keys().collect::<Vec<_>>(),
        ["mean.p", "mean.q", "moves.p", "moves.q", "squares.p", "squares.q", "step"]
    );
    state.insert("momentum.p".into(), state["mean.p"].clone());
    state.insert("mean.r".into(), state["mean.p"].clone());
    state.insert("mean.running".into(), state["mean.p"].clone());
    state.insert("squares.q".into(), state["mean.p"].clone());
    state.remove("moves.p");
    let error = optimizer.load_state(&state).unwrap_err();
    insta::assert_snapshot!(error, @"
    the optimiser's state does not fit:
      `squares.q` is F64 of shape [3]: expected F64 of shape [1]
      `mean.r` belongs to another network or optimiser
      `mean.running` belongs to another network or optimiser
      `momentum.p` belongs to another network or optimiser
      `moves.p` is missing
    ");
    let error = optimizer.load_state(&BTreeMap::new()).unwrap_err();
    insta::assert_snapshot!(error, @"
    the optimiser's state does not fit:
      `step` is missing
    ");
    assert_eq!(optimizer.state().unwrap()["moves.p"].to_scalar::<i64>().unwrap(), 2);
}

#[test]
fn parameters_in_f32_stay_in_f32() {
    let builder = Builder::new(DType::F32, &Device::Cpu, 0);
    builder.root().weight("p", 2, Init::Constant(1.0)).unwrap();
    let parameters = builder.finish();
    let gradient = gradients([("p", Tensor::new(&[1f32, -1.0], &Device::Cpu).unwrap())]);
    for config in [SGD, ADAM, ADAM_W] {
        Optimizer::new(config, &parameters).unwrap().step(&gradient, 0.5).unwrap();
    }
    let found = parameters.get("p").unwrap().var().to_vec1::<f32>().unwrap();
    assert!(found[0] < 1.0 && found[1] > 1.0, "{found:?}");
}

/// 3,000 numbers in f32, more than a part of a pass, with zeros of both signs.
fn numbers(stream: &str) -> Tensor {
    let mut generator = crate::random::Generator::new(1, stream);
    let numbers = (0..3_000).map(|i| [0.0, -0.0, generator.normal(), 1e-20 * generator.normal()][i % 4]);
    Tensor::from_iter(numbers, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn one_pass_of_sgd_has_the_bits_of_the_operations() {
    let gradient = numbers("gradient").reshape((50, 60)).unwrap().t().unwrap();
    for weight_decay in [0.0, 0.1] {
        let value = Var::from_tensor(&numbers("value").reshape((60, 50)).unwrap()).unwrap();
        let of = OptimizerConfig::Sgd { momentum: 0.0, nesterov: false, weight_decay };
        for _ in 0..3 {
            let (expected, _) = of.updated(&value, &gradient, None, 0.1).unwrap();
            of.update(&value, &gradient, None, 0.1).unwrap();
            assert_eq!(bits(&value), bits(&expected));
        }
        let error = one_pass::sgd(&value, &numbers("gradient"), 0.0, 0.1).unwrap_err().to_string();
        assert!(
            error.starts_with("a parameter of shape [60, 50] and its gradient of shape [3000] do not fit"),
            "{error}"
        );
    }
}

#[test]
fn one_pass_of_adam_has_the_bits_of_the_operations() {
    let gradient = numbers("gradient").reshape((50, 60)).unwrap().t().unwrap();
    for (kept, rate) in [(None, 0.1), (Some(0.99), 1e-3)] {
        let by = Factors { kept, mean: [0.9, 0.1], squares: [0.999, 0.001], spread: [1.7, 1e-8], rate };
        let mut state = [numbers("value").reshape((60, 50)).unwrap(), gradient.clone(), gradient.clone()];
        let mut past = None;
        for _ in 0..3 {
            let found = one_pass::adam(&state[0], &gradient, past, &by).unwrap();
            let expected = adam_by_operations(&state[0], &gradient, past, &by).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(bits(found), bits(expected));
            }
            state = found;
            past = Some([&state[1], &state[2]]);
        }
    }
}

#[test]
fn settings_are_checked() {
    let error = |config| Optimizer::new(config, &parameters()).unwrap_err().to_string();
    let sgd = |momentum, nesterov, weight_decay| OptimizerConfig::Sgd { momentum, nesterov, weight_decay };
    insta::assert_snapshot!(error(sgd(1.0, false, 0.0)), @"`optimizer.momentum` is 1: expected a number from 0 to below 1");
    insta::assert_snapshot!(error(sgd(0.0, true, 0.0)), @"`optimizer.momentum` is 0: expected a number above 0, as Nesterov needs");
    insta::assert_snapshot!(error(sgd(0.0, false, -1.0)), @"`optimizer.weight_decay` is -1: expected a number ≥ 0");
    assert!(serde_json::from_str::<OptimizerConfig>(r#"{"name": "sgd", "beta1": 0.9}"#).is_err());
}
