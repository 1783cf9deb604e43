//! The page of a study in a real browser. There is no test harness, so that a machine without Chromium shows the
//! test as skipped, not as passed.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::path::Path;
use std::process::{Command, Output};

const NAME: &str = "a_page_is_shown_and_printed_by_chromium";

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return;
    }
    let is_there =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there) else {
        println!("{NAME}: there is no Chromium here (apt-get install chromium)");
        println!("0 passed, 0 failed, 1 skipped");
        return;
    };
    a_page_is_shown_and_printed_by_chromium(browser);
    println!("1 passed, 0 failed, 0 skipped");
}

fn a_page_is_shown_and_printed_by_chromium(browser: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = support::small_config(folder.path(), "iters = 12\nconfirm_policies = 1\nconfirm_samples = 2");
    for arguments in [
        &["optimize", "--config", &config, "--out", "study"][..],
        &["compare", "study", "--seeds", "2", "--test-size", "40", "--baselines", "none,flip-crop"],
        &["report", "study", "--out", "page.html"],
    ] {
        let run = support::deepaug(folder.path(), arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    // The page as the browser renders it, with the natural width of each picture written into it by a script of
    // the test.
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    let pictures = page.matches("<img ").count();
    assert!(pictures > 0);
    for heading in ["Does it help?", "What was found", "What matters most", "How to use it"] {
        assert!(page.contains(heading), "{heading}");
    }
    let script = "<script>onload=()=>{document.title='loaded '+[...document.images].filter(i=>i.complete&&i.naturalWidth>0)\
                  .length+' wide '+(document.documentElement.scrollWidth<=innerWidth)}</script></body>";
    std::fs::write(folder.path().join("tested.html"), page.replace("</body>", script)).unwrap();
    let shown = open(browser, folder.path(), &["--dump-dom"], "tested.html");
    let dom = String::from_utf8_lossy(&shown.stdout);
    assert!(
        dom.contains(&format!("<title>loaded {pictures} wide true</title>")),
        "pictures or the width are not right"
    );
    let words = String::from_utf8_lossy(&shown.stderr);
    assert!(!words.contains("CONSOLE"), "{words}");
    let pdf = folder.path().join("page.pdf");
    open(
        browser,
        folder.path(),
        &[&format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer"],
        "page.html",
    );
    let printed = std::fs::read(pdf).unwrap();
    assert!(printed.starts_with(b"%PDF") && printed.len() > 20_000, "{} bytes", printed.len());
}

fn open(browser: &str, folder: &Path, arguments: &[&str], page: &str) -> Output {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,1400", "--enable-logging=stderr"]);
    command.args(["--virtual-time-budget=5000", &format!("--user-data-dir={}", folder.join("profile").display())]);
    command.args(arguments).arg(format!("file://{}", folder.join(page).display()));
    command.output().unwrap()
}
