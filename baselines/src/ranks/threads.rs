//! Ranks that are threads of one process, for tests.

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

use candle_core::Tensor;

use super::{
    Ranks,
    engine::{Exchange, RanksError, Sum},
};

/// Where ranks bring something, and all take everything.
#[derive(Debug)]
struct Meeting<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    brought: Vec<Option<T>>,
    /// What all brought, until the last has taken it.
    all: Option<Arc<Vec<T>>>,
    /// How many have taken it.
    taken: usize,
}

impl<T: Send> Meeting<T> {
    fn new(size: usize) -> Self {
        let brought = (0..size).map(|_| None).collect();
        Self { state: Mutex::new(State { brought, all: None, taken: 0 }), changed: Condvar::new() }
    }

    /// Brings `own`, waits for the others, and returns what all brought.
    fn meet(&self, rank: usize, own: T) -> Arc<Vec<T>> {
        let mut state = self.state.lock().unwrap();
        // Until all have taken what the meeting before brought.
        state = self.changed.wait_while(state, |state| state.all.is_some()).unwrap();
        state.brought[rank] = Some(own);
        if state.brought.iter().all(Option::is_some) {
            state.all = Some(Arc::new(state.brought.iter_mut().map(|brought| brought.take().unwrap()).collect()));
            self.changed.notify_all();
        }
        state = self.changed.wait_while(state, |state| state.all.is_none()).unwrap();
        let all = Arc::clone(state.all.as_ref().unwrap());
        state.taken += 1;
        if state.taken == state.brought.len() {
            (state.all, state.taken) = (None, 0);
            self.changed.notify_all();
        }
        all
    }
}

#[derive(Debug)]
struct Threads {
    rank: usize,
    tensors: Arc<Meeting<Tensor>>,
    bytes: Arc<Meeting<Vec<u8>>>,
}

impl Exchange for Threads {
    fn sum(&self, vector: Tensor) -> Result<Sum, RanksError> {
        let all = self.tensors.meet(self.rank, vector);
        let sum = all[1..].iter().try_fold(all[0].copy()?, |sum, vector| sum + vector)?;
        Ok(Sum::of(|| Ok(sum)))
    }

    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, RanksError> {
        Ok(self.bytes.meet(self.rank, own).to_vec())
    }

    fn broadcast(&self, own: Vec<u8>) -> Result<Vec<u8>, RanksError> {
        Ok(self.bytes.meet(self.rank, own)[0].clone())
    }

    fn abort(&self, _: i32) {}
}

/// Runs `work` as `size` ranks; the results in the order of the ranks.
pub(crate) fn run<R: Send>(size: usize, work: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
    let (tensors, bytes) = (Arc::new(Meeting::new(size)), Arc::new(Meeting::new(size)));
    thread::scope(|scope| {
        let start = |rank| {
            let exchange = Arc::new(Threads { rank, tensors: Arc::clone(&tensors), bytes: Arc::clone(&bytes) });
            let work = &work;
            // A pool each: in the backward pass they wait for each other.
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            scope.spawn(move || pool.install(|| work(Ranks { rank, size, local: (rank, size), exchange })))
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn all_get_the_same() {
    let found = run(3, |ranks| {
        let own = Tensor::new(&[ranks.rank() as f64, 1.0], &candle_core::Device::Cpu).unwrap();
        let sums: Vec<_> = (0..5).map(|_| ranks.sum(own.clone()).unwrap().wait().unwrap()).collect();
        let sums: Vec<_> = sums.iter().map(|sum| sum.to_vec1::<f64>().unwrap()).collect();
        let all = ranks.gather(vec![u8::try_from(ranks.rank()).unwrap(); ranks.rank()]).unwrap();
        (sums, all, ranks.broadcast(vec![7, u8::from(ranks.is_first())]).unwrap(), ranks.agree("number", b"1").is_ok())
    });
    for (sums, all, broadcast, agree) in found {
        assert_eq!(sums, vec![vec![3.0, 3.0]; 5]);
        assert_eq!((all, broadcast, agree), (vec![vec![], vec![1], vec![2, 2]], vec![7, 1], true));
    }
    let differing = run(2, |ranks| ranks.agree("seed", &[u8::from(ranks.is_first())]).unwrap_err().to_string());
    assert_eq!(differing, vec!["rank 1 has another seed than rank 0"; 2]);
}
