use scoria_core::engine::rank::*;
use scoria_core::source::frame::{Column, read_frame};
use scoria_core::source::{Container, Library, open_h5ad, summarise};
use scoria_core::{Monitor, Result, pool};
use std::path::Path;
use std::time::Instant;
fn main() -> Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let path = Path::new(&a[1]);
    let frame = read_frame(&Container::open(path, &Library::default())?.file, "obs")?;
    let (codes, levels) = frame
        .columns
        .iter()
        .find_map(|(n, c)| match c {
            Column::Factor { codes, levels, .. } if n == "perturbation" => Some((codes, levels)),
            _ => None,
        })
        .unwrap();
    let control = levels.iter().position(|l| l == "control").unwrap() as u32;
    let n = levels.len() as u32 - 1;
    let class: Vec<u32> = codes
        .iter()
        .map(|c| {
            let c = c.unwrap();
            if c == control {
                n
            } else if c > control {
                c - 1
            } else {
                c
            }
        })
        .collect();
    let groups = Groups::new(&class, n as usize, Against::Control)?;
    let source = open_h5ad(path, "X", &Library::default())?;
    let method = match a[2].as_str() {
        "t" => Method::T { equal_variance: false },
        "anderson" => Method::Anderson,
        _ => Method::Wilcoxon { continuity: true, exact: Exact::Auto },
    };
    let scale = if a[3] == "log" { Scale::Log1p } else { Scale::Counts };
    let threads: usize = a[4].parse().unwrap();
    for _ in 0..a[5].parse::<usize>().unwrap() {
        let options = Options {
            method,
            scale,
            normalise: Normalise::Nothing,
            log1p: true,
            mean: Mean::Geometric,
            epsilon: 1e-9,
            filter: Filter::default(),
            adjust_each_group: true,
            memory_limit: None,
        };
        pool(threads)?.install(|| -> Result<()> {
            let start = Instant::now();
            summarise(&*source)?;
            print!("read {:.3} ", start.elapsed().as_secs_f64());
            let start = Instant::now();
            let t = test_groups(&*source, &groups, &options, &Monitor::new())?;
            println!(
                "test {:.3} {}",
                start.elapsed().as_secs_f64(),
                t.p_value.iter().filter(|p| **p < 0.01).count()
            );
            Ok(())
        })?;
    }
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", s.lines().find(|l| l.starts_with("VmHWM")).unwrap());
    Ok(())
}
