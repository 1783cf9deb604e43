use std::error::Error;
use clap::Args;
use deepaug_controller::{Domain, Point, Space, forest::{FeatureKind, ForestParams}};
use linfa::{Dataset, traits::Fit as _};
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use crate::{function::{choice, number}, instance};

#[derive(Args)]
pub struct Fit {
    #[arg(long, value_delimiter = ',')] function: Vec<String>,
    #[arg(long, default_value_t = 8)] seeds: u64,
    #[arg(long, value_delimiter = ',', default_value = "50,100,300")] n: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "raw")] features: Vec<String>,
    #[arg(long, default_value = "identity")] target: String,
    #[arg(long)] trend: bool,
    #[arg(long)] only: bool,
    #[arg(long, default_value = "{}")] forest: String,
}
fn encode(space: &Space, point: &Point, mode: &str) -> (Vec<f64>, Vec<FeatureKind>) {
    let mask = space.active(point).unwrap();
    let ps = space.parameters();
    let mut row = vec![]; let mut kinds = vec![];
    if mode != "pool" && mode != "pool2" {
        let mut order: Vec<usize> = (0..ps.len()).collect();
        if mode.starts_with("sorted") && ps.len() == 20 {
            let mut g: Vec<Vec<usize>> = (0..5).map(|s| (4*s..4*s+4).collect()).collect();
            g.sort_by_key(|g| (choice(point, g[0]), choice(point, g[2])));
            order = g.concat();
        }
        for i in order {
            match &ps[i].domain {
                Domain::Categorical { choices } => { kinds.push(FeatureKind::Categorical(choices.len()+1)); row.push(if mask[i] { choice(point, i) as f64 } else { choices.len() as f64 }); }
                Domain::Real { low, high } => { kinds.push(FeatureKind::Continuous); row.push(if mask[i] { (number(point,i)-low)/(high-low) } else { -1.0 }); }
                Domain::Integer { low, high } => { kinds.push(FeatureKind::Continuous); row.push(if mask[i] { (number(point,i)-*low as f64)/((high-low) as f64) } else { -1.0 }); }
            }
        }
    } else if mode == "pool" || mode == "pool2" {
        // unpooled
        for i in 0..ps.len() { if let Domain::Real{..} = ps[i].domain && ps[i].condition.is_none() && ps[i].name=="portion" { kinds.push(FeatureKind::Continuous); row.push(number(point,i)); } }
    }
    if mode.contains("pool") {
        let mut lists: Vec<(&Vec<String>, Vec<usize>)> = vec![];
        for (i,p) in ps.iter().enumerate() { if let Domain::Categorical{choices} = &p.domain { match lists.iter_mut().find(|l| l.0==choices) { Some(l) => l.1.push(i), None => lists.push((choices, vec![i])) } } }
        for (choices, members) in lists { if members.len() < 2 { continue; }
            let n = choices.len();
            let mut counts = vec![0.0; n]; let mut sums = vec![0.0; n]; let mut attached = false;
            for &i in &members { let c = choice(point,i); counts[c]+=1.0;
                if let Some(a) = (0..ps.len()).find(|&a| ps[a].condition.as_ref().is_some_and(|q| q.parent==i)) { attached = true; if mask[a] { sums[c]+=number(point,a); } } }
            for c in 0..n {
                if !(mode.contains("pool2") && attached) { row.push(counts[c]); kinds.push(FeatureKind::Continuous); }
                if attached { row.push(if counts[c]>0.0 { sums[c]/counts[c] } else { -1.0 }); kinds.push(FeatureKind::Continuous); }
            }
        }
    }
    (row, kinds)
}
fn additive(space: &Space, point: &Point) -> Vec<f64> {
    let mask = space.active(point).unwrap();
    let ps = space.parameters();
    let mut row = vec![];
    let mut lists: Vec<(&Vec<String>, Vec<usize>)> = vec![];
    for (i,p) in ps.iter().enumerate() { if let Domain::Categorical{choices} = &p.domain { match lists.iter_mut().find(|l| l.0==choices) { Some(l) => l.1.push(i), None => lists.push((choices, vec![i])) } } }
    lists.retain(|l| l.1.len()>1);
    let exch = ps.len()==20;
    for (i,p) in ps.iter().enumerate() {
        match &p.domain {
            Domain::Categorical{choices} => { if exch { continue } for c in 0..choices.len() { row.push(if mask[i] && choice(point,i)==c {1.0} else {0.0}); } }
            d => { if p.condition.as_ref().is_some_and(|c| lists.iter().any(|l| l.1.contains(&c.parent))) { continue }
                let (l,h) = match d { Domain::Real{low,high} => (*low,*high), Domain::Integer{low,high} => (*low as f64,*high as f64), _ => (0.0,1.0) };
                let u = (number(point,i)-l)/(h-l)*2.0-1.0; row.push(if mask[i] {u} else {0.0}); row.push(if mask[i] {u*u} else {0.0}); }
        }
    }
    for (choices, members) in lists { let n=choices.len(); let mut c0=vec![0.0;n]; let mut c1=vec![0.0;n]; let mut c2=vec![0.0;n];
        for &i in &members { let c=choice(point,i); c0[c]+=1.0; if let Some(a)=(0..ps.len()).find(|&a| ps[a].condition.as_ref().is_some_and(|q| q.parent==i)) && mask[a] { let u=number(point,a)*2.0-1.0; c1[c]+=u; c2[c]+=u*u; } }
        row.extend(c0); row.extend(c1); row.extend(c2); }
    row
}
/// ridge with loo; returns (mean, coefficients)
fn cholesky(a: &mut [f64], d: usize) { for j in 0..d { for k in 0..j { let f=a[j*d+k]; for i in j..d { a[i*d+j]-=f*a[i*d+k]; } } let s=a[j*d+j].sqrt(); for i in j..d { a[i*d+j]/=s; } } }
fn lsolve(l: &[f64], d: usize, b: &mut [f64]) { for i in 0..d { for k in 0..i { b[i]-=l[i*d+k]*b[k]; } b[i]/=l[i*d+i]; } }
fn usolve(l: &[f64], d: usize, b: &mut [f64]) { for i in (0..d).rev() { for k in i+1..d { b[i]-=l[k*d+i]*b[k]; } b[i]/=l[i*d+i]; } }
fn ridge(x: &[Vec<f64>], y: &[f64]) -> (Vec<f64>, Vec<f64>, f64, f64) {
    let n=x.len(); let d=x[0].len(); let my=y.iter().sum::<f64>()/n as f64;
    let mx: Vec<f64>=(0..d).map(|j| x.iter().map(|r| r[j]).sum::<f64>()/n as f64).collect();
    let sx = 1.0;
    let xc: Vec<Vec<f64>>=x.iter().map(|r| r.iter().zip(&mx).map(|(a,b)| (a-b)/sx).collect()).collect();
    let mut best=(f64::INFINITY, vec![], 0.0);
    for lam in [0.3,1.0,3.0,10.0,30.0,100.0,300.0] {
        let mut a=vec![0.0;d*d]; for r in &xc { for i in 0..d { if r[i]!=0.0 { for j in 0..=i { a[i*d+j]+=r[i]*r[j]; } } } }
        for i in 0..d { a[i*d+i]+=lam; }
        cholesky(&mut a,d);
        let mut b=vec![0.0;d]; for (r,t) in xc.iter().zip(y) { for j in 0..d { b[j]+=r[j]*(t-my); } }
        lsolve(&a,d,&mut b); usolve(&a,d,&mut b);
        let mut e=0.0; for (r,t) in xc.iter().zip(y) { let mut v=r.clone(); lsolve(&a,d,&mut v); let h=v.iter().map(|q| q*q).sum::<f64>()+1.0/n as f64; let f: f64=r.iter().zip(&b).map(|(p,q)| p*q).sum(); e+=((t-my-f)/(1.0-h)).powi(2); }
        if e<best.0 { best=(e,b,lam); }
    }
    (best.1, mx, my, best.2)
}
fn target(kind: &str, y: &[f64]) -> Vec<f64> {
    let low = y.iter().copied().fold(f64::INFINITY, f64::min); let high = y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match kind {
        "log" => y.iter().map(|c| (((c-low)/(high-low)+0.001)/1.001).ln()).collect(),
        "log1" => y.iter().map(|c| (((c-low)/(high-low)+0.1)/1.1).ln()).collect(),
        "rank" => { let mut o: Vec<usize> = (0..y.len()).collect(); o.sort_by(|&a,&b| y[a].total_cmp(&y[b])); let mut z = vec![0.0; y.len()]; for (r,&i) in o.iter().enumerate() { let u=(r as f64+0.5)/y.len() as f64; z[i]=(u/(1.0-u)).ln(); } z }
        _ => y.to_vec(),
    }
}
impl Fit { pub fn run(&self) -> Result<(), Box<dyn Error>> {
    let base: ForestParams = serde_json::from_str(&self.forest)?;
    for f in &self.function { for mode in &self.features { let mut line = format!("{f:10} {mode:11}");
        for &n in &self.n {
            let r: Vec<(f64,f64)> = (0..self.seeds).into_par_iter().map(|seed| {
                let mut m = instance(f, seed).unwrap(); let space = m.function.space().clone();
                let mut rng = ChaCha8Rng::seed_from_u64(seed+77);
                let train: Vec<Point> = (0..n).map(|_| space.sample(&mut rng)).collect();
                let y: Vec<f64> = train.iter().map(|p| m.measure(p)).collect();
                let test: Vec<Point> = (0..1500).map(|_| space.sample(&mut rng)).collect();
                let truth: Vec<f64> = test.iter().map(|p| m.regret(p)).collect();
                let kinds = encode(&space,&train[0],mode).1;
                let mat = |ps: &[Point]| Array2::from_shape_vec((ps.len(), kinds.len()), ps.iter().flat_map(|p| encode(&space,p,mode).0).collect()).unwrap();
                let yt = target(&self.target,&y);
                let (coef,mx,my,_lam) = if self.trend { let x: Vec<Vec<f64>> = train.iter().map(|p| additive(&space,p)).collect(); ridge(&x,&yt) } else { (vec![],vec![],0.0,0.0) };
                let lin = |p: &Point| if self.trend { my+additive(&space,p).iter().zip(&mx).zip(&coef).map(|((a,b),c)| (a-b)*c).sum::<f64>() } else { 0.0 };
                let resid: Vec<f64> = train.iter().zip(&yt).map(|(p,t)| t-lin(p)).collect();
                let forest = base.clone().kinds(kinds.clone()).seed(seed).fit(&Dataset::new(mat(&train), Array1::from(resid))).unwrap();
                let mut pred = forest.predict_with_variance(&mat(&test).view()).0;
                if self.only { pred.fill(0.0); }
                for (q,p) in pred.iter_mut().zip(&test) { *q += lin(p); }
                let mt = truth.iter().sum::<f64>()/1500.0; let mp = pred.mean().unwrap();
                let (mut a,mut b,mut c)=(0.0,0.0,0.0); for (t,p) in truth.iter().zip(&pred) { a+=(t-mt)*(p-mp); b+=(t-mt).powi(2); c+=(p-mp).powi(2); }
                let mut o: Vec<usize> = (0..1500).collect(); o.sort_by(|&a,&b| pred[a].total_cmp(&pred[b]));
                let sel = (o[..15].iter().map(|&i| truth[i]).sum::<f64>()/15.0 - mt)/(b/1500.0).sqrt();
                (a/(b*c).sqrt(), sel)
            }).collect();
            let k = r.len() as f64;
            line += &format!("  n={n}: r {:.3} sel {:.2}", r.iter().map(|x| x.0).sum::<f64>()/k, r.iter().map(|x| x.1).sum::<f64>()/k);
        }
        println!("{line}");
    } } Ok(()) } }
