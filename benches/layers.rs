//! Times single layers on one CPU thread, forward and backward, at the sizes used by the nets here:
//!
//!     cargo bench --manifest-path benches/Cargo.toml

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use deepaug_child_model::{Layer, LayerBench};

const BATCH: usize = 64;

/// A name, the layer as in a configuration, and the image that reaches it.
const LAYERS: [(&str, &str, [usize; 3]); 8] = [
    ("conv 3x3, 3 to 32", r#"{ "kind": "conv", "filters": 32, "activation": "relu" }"#, [32, 32, 3]),
    ("conv 3x3, 32 to 32", r#"{ "kind": "conv", "filters": 32, "activation": "relu" }"#, [32, 32, 32]),
    ("conv 3x3, 64 to 64", r#"{ "kind": "conv", "filters": 64, "activation": "relu" }"#, [15, 15, 64]),
    ("conv 3x3 stride 2, 32 to 64", r#"{ "kind": "conv", "filters": 64, "stride": 2 }"#, [32, 32, 32]),
    ("conv 1x1, 96 to 24", r#"{ "kind": "conv", "filters": 24, "kernel": 1 }"#, [16, 16, 96]),
    ("depthwise 3x3, 96", r#"{ "kind": "depthwise" }"#, [16, 16, 96]),
    ("batch norm, 32", r#"{ "kind": "batch-norm", "activation": "relu" }"#, [32, 32, 32]),
    ("max pool 2x2, 32", r#"{ "kind": "max-pool" }"#, [30, 30, 32]),
];

fn layers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layers");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, layer, image) in LAYERS {
        let layer: Layer = serde_json::from_str(layer).expect("the layers above are right");
        let mut bench = LayerBench::new(layer, image, BATCH).expect("the layers above fit their images");
        group.bench_function(name, |bencher| bencher.iter(|| bench.step()));
    }
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
