#include <catch2/catch.hpp>
#include <limits>

#include "nnef_parser/archive.h"
#include "tests/cli/command.h"

using namespace nnefrun;
using namespace nnefrun::test;

TEST_CASE("inputs that are missing or wrong end with 4", "[cli]") {
  const Desk desk;
  save_npy(desk.at("double.npy"), Tensor::of<double>({2, 3}, {0, 1, 2, 3, 4, 5}));
  save_npy(desk.at("turned.npy"), Tensor::of<float>({3, 2}, {0, 1, 2, 3, 4, 5}));
  write_whole_file(desk.at("noise.npy"), "this is no array");
  save_npz(desk.at("surplus.npz"),
           {{"x", Tensor::zeros(DataType::f32, {2, 3})}, {"ghost", Tensor::zeros(DataType::f32, {1})}});
  struct Row {
    std::vector<std::string> arguments;
    std::string code, said;
  };
  const std::vector<Row> rows = {
      {{"add"}, "input-missing", "`x`"},
      {{"two", "--input", "a.npy"}, "input-missing", "`b`"},
      {{"add", "--input", "nosuch.npy"}, "file-unreadable", "nosuch.npy"},
      {{"add", "--input", "noise.npy"}, "npy-malformed", "noise.npy"},
      {{"add", "--input", "double.npy"}, "input-dtype", "f64"},
      {{"add", "--input", "double.npy", "--cast"}, "input-dtype", "f64"},
      {{"add", "--input", "turned.npy"}, "input-shape", "[3,2]"},
      {{"add", "--input", "z=x.npy"}, "input-unknown", "its inputs are: `x` f32 [2,3]"},
      {{"add", "--input", "surplus.npz"}, "input-unknown", "`ghost`"},
      {{"add", "--input", "x.npy", "--input", "x.npy"}, "input-unknown", "more inputs"},
      {{"add", "--input", "x=x.npy", "--input", "x=ones"}, "input-repeated", "`x`"},
      {{"add", "--input", "x=random:seed"}, "input-form", "seed"},
      {{"add", "--input", "x.npy", "--expect", "in-0.npz"}, "result-unknown", "its results are: `y`"},
      {{"two", "--input", "ones", "--output", "out.npy"}, "output-form", ".npz"},
      {{"add", "--input", "x.npy", "--output", "no/such/folder/out.npz"}, "file-unwritable", "no/such"},
      {{"cache", "--steps", "in-0.npz"}, "input-missing", "`c`"},
      {{"cache", "--steps", "in-0.npz", "--feedback", "z=c"}, "feedback-unknown", "`c_out`, `s`"},
      {{"cache", "--steps", "in-0.npz", "--feedback", "c_out=z"}, "input-unknown", "`z`"},
  };
  for (const Row& row : rows) {
    const Outcome got = desk.run(row.arguments);
    INFO(row.arguments.back() << ": " << got.err);
    CHECK(got.status == 4);
    CHECK(got.says("error[" + row.code + "]: "));
    CHECK(got.says(row.said));
  }
}

TEST_CASE("the model is loaded before inputs are looked at", "[cli]") {
  const Outcome got = Desk().run({"nosuch.nnef.tgz", "--input", "nosuch.npy"});
  CHECK(got.status == 3);
  CHECK(got.says("nosuch.nnef.tgz"));
}

TEST_CASE("inputs by order, by name, by key and by word", "[cli]") {
  const Desk desk;
  save_npz(desk.at("set.npz"),
           {{"b", Tensor::of<float>({2}, {3, 5})}, {"a", Tensor::of<float>({2}, {1, 2})}});
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"two", "--input", "a.npy", "--input", "b.npy"},
        {"two", "--input", "b=b.npy", "--input", "a.npy"},
        {"two", "--input", "set.npz"},
        {"two", "--input", "a=set.npz", "--input", "b=set.npz"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--output", "out.npz"});
    const Outcome got = desk.run(all);
    INFO(got.err);
    REQUIRE(got.status == 0);
    CHECK(got.out.empty());
    CHECK(floats(desk.array("out.npz", "s")) == std::vector<float>{4, 7});
    CHECK(floats(desk.array("out.npz", "p")) == std::vector<float>{3, 10});
  }
  REQUIRE(desk.run({"two", "--input", "a=ones", "--input", "b=zeros", "--output", "out.npz"}).status == 0);
  CHECK(floats(desk.array("out.npz", "s")) == std::vector<float>{1, 1});
}

TEST_CASE("random inputs follow their seed", "[cli]") {
  const Desk desk;
  const auto values = [&](const std::string& word) {
    REQUIRE(desk.run({"add", "--input", word, "--output", "out.npz"}).status == 0);
    return floats(desk.array("out.npz", "y"));
  };
  CHECK(values("random:7") == values("x=random:7"));
  CHECK(values("random:7") != values("random:8"));
}

TEST_CASE("--cast widens what loses nothing", "[cli]") {
  const Desk desk;
  save_npy(desk.at("short.npy"), Tensor::of<int16_t>({2, 3}, {-32768, 1, 2, 3, 4, 32767}));
  CHECK(desk.run({"add", "--input", "short.npy"}).says("--cast widens it"));
  REQUIRE(desk.run({"add", "--input", "short.npy", "--cast", "--output", "out.npz"}).status == 0);
  CHECK(floats(desk.array("out.npz", "y")) == std::vector<float>{-32767, 2, 3, 4, 5, 32768});
}

TEST_CASE("results as .npz, .npy and on standard output", "[cli]") {
  const Desk desk;
  REQUIRE(desk.run({"add", "--input", "x.npy", "--output", "out.npy"}).status == 0);
  CHECK(floats(load_npy(desk.at("out.npy"))) == std::vector<float>{1, 2, 3, 4, 5, 6});
  const Outcome piped = desk.run({"add", "--input", "x.npy", "--output", "-"});
  REQUIRE(piped.status == 0);
  const NamedTensors items = read_npz(as_byte_span(piped.out), "piped");
  REQUIRE(items.size() == 1);
  CHECK(items[0].first == "y");
}

TEST_CASE("--expect compares and ends with 1 when results differ", "[cli]") {
  const Desk desk;
  save_npz(desk.at("same.npz"), {{"y", Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6})}});
  save_npz(desk.at("near.npz"), {{"y", Tensor::of<float>({2, 3}, {1, 2, 3.25F, 4, 5, 6})}});
  save_npz(desk.at("other.npz"), {{"y", Tensor::of<double>({2, 3}, {1, 2, 3, 4, 5, 6})}});
  save_npz(desk.at("none.npz"), {});
  const auto expect = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"add", "--input", "x.npy", "--expect"});
    return desk.run(more);
  };
  CHECK(expect({"same.npz"}).status == 0);
  CHECK(expect({"none.npz"}).status == 0);
  const Outcome off = expect({"near.npz"});
  CHECK(off.status == 1);
  CHECK(off.prints("worst at [0,2]: got 3, expected 3.25, off by 0.25; 1 of 6 out of tolerance"));
  CHECK(off.says("error[results-differ]"));
  CHECK(expect({"near.npz", "--atol", "0.25"}).status == 0);
  CHECK(expect({"near.npz", "--rtol", "0.1"}).status == 0);
  CHECK(expect({"near.npz", "--outliers", "0.17"}).status == 0);
  CHECK(expect({"near.npz", "--outliers", "0.16"}).status == 1);
  const Outcome type = expect({"other.npz"});
  CHECK(type.status == 1);
  CHECK(type.prints("is f32 [2,3], expected f64 [2,3]"));
}

TEST_CASE("NaN equals NaN and infinities only themselves", "[cli]") {
  const Desk desk;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  save_npy(desk.at("odd.npy"), Tensor::of<float>({2, 3}, {nan, inf, -inf, 0, 0, 0}));
  save_npz(desk.at("odd.npz"), {{"y", Tensor::of<float>({2, 3}, {nan, inf, -inf, 1, 1, 1})}});
  save_npz(desk.at("finite.npz"), {{"y", Tensor::of<float>({2, 3}, {nan, 1, -inf, 1, 1, 1})}});
  save_npz(desk.at("sign.npz"), {{"y", Tensor::of<float>({2, 3}, {nan, -inf, -inf, 1, 1, 1})}});
  CHECK(desk.run({"add", "--input", "odd.npy", "--expect", "odd.npz"}).status == 0);
  CHECK(desk.run({"add", "--input", "odd.npy", "--expect", "finite.npz", "--rtol", "10"}).status == 1);
  CHECK(desk.run({"add", "--input", "odd.npy", "--expect", "sign.npz", "--rtol", "10"}).status == 1);
}

TEST_CASE("--top lists the largest entries of each row with their labels", "[cli]") {
  const Desk desk;
  write_whole_file(desk.at("labels.txt"), "cat\r\ndog\nbird\n");
  const Outcome got = desk.run({"add", "--input", "x.npy", "--top", "2", "--labels", "labels.txt"});
  REQUIRE(got.status == 0);
  CHECK(got.out ==
        "y: f32 [2,3]\n  row [0]\n  2  3  bird\n  1  2  dog\n  row [1]\n  2  6  bird\n  1  5  dog\n");
}

TEST_CASE("steps share a session, and --feedback hands results on", "[cli]") {
  const Desk desk;
  const Outcome got = desk.run({"cache", "--output", "out.npz", "--feedback", "c_out=c", "--steps",
                                "in-0.npz", "in-1.npz", "in-2.npz"});
  INFO(got.err);
  REQUIRE(got.status == 0);
  CHECK(floats(desk.array("out-0.npz", "c_out")) == std::vector<float>{1, -1});  // from an empty axis
  CHECK(floats(desk.array("out-2.npz", "c_out")) == std::vector<float>{1, -1, 2, -2, 3, -3});
  CHECK(floats(desk.array("out-2.npz", "s")) == std::vector<float>{6, -6});

  save_npy(desk.at("past.npy"), Tensor::of<float>({1, 2}, {10, 20}));
  REQUIRE(desk.run({"cache", "--steps", "in-0.npz", "in-1.npz", "--input", "c=past.npy", "--feedback",
                    "c_out=c", "--output", "out.npz"})
              .status == 0);
  CHECK(floats(desk.array("out-1.npz", "s")) == std::vector<float>{13, 17});

  save_npz(desk.at("ref-0.npz"), {{"s", Tensor::of<float>({1, 2}, {1, -1})}});
  save_npz(desk.at("ref-1.npz"), {{"s", Tensor::of<float>({1, 2}, {3, -3})}});
  const std::vector<std::string> common = {"cache",   "--feedback", "c_out=c",
                                           "--steps", "in-0.npz",   "in-1.npz"};
  auto right = common, wrong = common;
  right.insert(right.end(), {"--expect", "ref-0.npz", "ref-1.npz"});
  wrong.insert(wrong.end(), {"--expect", "ref-1.npz", "ref-0.npz"});
  CHECK(desk.run(right).status == 0);
  CHECK(desk.run(wrong).status == 1);
}

TEST_CASE("--set gives symbols their values", "[cli]") {
  const Desk desk;
  CHECK(desk.run({"cache", "--input", "ones"}).prints("c_out: f32 [2,2]"));
  CHECK(desk.run({"cache", "--input", "ones", "--set", "P=4"}).prints("c_out: f32 [5,2]"));
  const Outcome unknown = desk.run({"cache", "--input", "ones", "--set", "Q=4"});
  CHECK(unknown.status == 3);
  CHECK(unknown.says("its symbols are: P"));
}

TEST_CASE("all ways of evaluation agree", "[cli]") {
  const Desk desk;
  REQUIRE(desk.run({"cache", "--input", "x=random:1", "--input", "c=random:2", "--set", "P=3", "--output",
                    "ref.npz"})
              .status == 0);
  for (const std::string flag : {"--no-optimize", "--via-text", "--via-text=parsed", "--via-text=typed",
                                 "--via-text=decluttered", "--via-text=optimized", "--max-rewrites=0",
                                 "--disable=declutter", "--isa=generic", "--accuracy=fast"}) {
    const Outcome got = desk.run({"cache", "--input", "x=random:1", "--input", "c=random:2", "--set", "P=3",
                                  "--expect", "ref.npz", flag});
    INFO(flag << ": " << got.err << got.out);
    CHECK(got.status == 0);
  }
}

TEST_CASE("--dump-after prints the graph to standard error", "[cli]") {
  const Outcome got = Desk().run({"add", "--input", "x.npy", "--dump-after", "declutter"});
  CHECK(got.status == 0);
  CHECK(got.says("# after declutter"));
  CHECK(got.says("y = add(x, 1.0);"));
}

TEST_CASE("--trace writes intermediate tensors under their names", "[cli]") {
  const Desk desk;
  desk.model("chain",
             "version 1.0;\nextension tract_registry tract_core;\ngraph net(x) -> (y)\n{\n"
             "  x = tract_core_external(shape = [2, 3], datum_type = 'f32');\n"
             "  i\"a/../b\" = exp(x);\n  y = sum_reduce(i\"a/../b\", axes = [0]);\n}\n");
  const Outcome got = desk.run({"chain", "--input", "x=zeros", "--trace", "traces/new", "--no-optimize"});
  INFO(got.err);
  REQUIRE(got.status == 0);
  CHECK(floats(load_npy(desk.at("traces/new/y.npy"))) == std::vector<float>{2, 2, 2});
  CHECK(floats(load_npy(desk.at("traces/new/a_.._b.npy"))) == std::vector<float>{1, 1, 1, 1, 1, 1});
  write_whole_file(desk.at("file"), "");
  CHECK(desk.run({"add", "--input", "x.npy", "--trace", "file"}).status == 4);
}

TEST_CASE("models as folder, text, tar, packed tar and on standard input", "[cli]") {
  const Desk desk;
  const std::string text = read_whole_file(desk.at("add/graph.nnef"));
  write_archive(desk.at("add.tar"), {text_member("graph.nnef", text)}, ArchiveForm::tar);
  write_archive(desk.at("add.nnef.tgz"), {text_member("graph.nnef", text)}, ArchiveForm::tgz);
  for (const std::string model : {"add", "add/graph.nnef", "add.tar", "add.nnef.tgz"}) {
    INFO(model);
    CHECK(desk.run({model, "--input", "x.npy"}).status == 0);
  }
  CHECK(desk.run({"-", "--input", "x.npy"}, desk.at("add.tar")).status == 0);
  CHECK(desk.run({"-", "--input", "x.npy"}).status == 3);  // nothing comes in
}
