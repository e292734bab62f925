// What `nnefrun profile` reports, and the files that it writes.
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/cli/command.h"

namespace nnefrun::test {
namespace {

using Json = nlohmann::json;

// A product, something with a bad name, and an operator by evaluation.
constexpr const char* kHostile =
    "version 1.0;\nextension tract_registry tract_core;\ngraph net(x) -> (y)\n{\n"
    "  x = tract_core_external(shape = [64, 64], datum_type = 'f32');\n"
    "  w = variable<scalar>(shape = [64, 32], label = 'w');\n"
    "  i\"<script>alert('{{nodes}}')</script>&\" = matmul(x, w);\n"
    "  y = softmax(i\"<script>alert('{{nodes}}')</script>&\", axes = [1]);\n}\n";
constexpr const char* kHostileName = "<script>alert('{{nodes}}')</script>&";
constexpr const char* kEscaped = "&lt;script&gt;alert(&#39;{{nodes}}&#39;)&lt;/script&gt;&amp;";

// Its weights are those of a .dat of zeros.
void put_hostile(const Desk& desk) {
  desk.model("hostile", kHostile);
  std::string dat(128, '\0');  // NNEF header: magic, version 1.0, byte count, rank, extents, bits, type
  dat[0] = 'N';
  dat[1] = '\xEF';
  dat[2] = 1;
  const auto put = [&](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) dat[at + i] = static_cast<char>((value >> (8 * i)) & 0xFF);
  };
  put(4, 64 * 32 * 4);
  put(8, 2);
  put(12, 64);
  put(16, 32);
  put(44, 32);
  write_whole_file(desk.at("hostile/w.dat"), dat + std::string(64 * 32 * 4, '\0'));
}

Json profile(const Desk& desk, std::vector<std::string> more) {
  std::vector<std::string> words = {"profile",    "hostile", "--input", "random",
                                    "--min-time", "0.01",    "--json"};
  words.insert(words.end(), more.begin(), more.end());
  const Outcome got = desk.run(words);
  INFO(got.err);
  REQUIRE(got.status == 0);
  return Json::parse(got.out);
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace

TEST_CASE("profile counts work and bytes and names kernels", "[cli]") {
  const Desk desk;
  put_hostile(desk);
  std::set<std::string> rows;
  for (const auto& row : Json::parse(desk.run({"kernels", "--json"}).out)) {
    if (row["chosen"] == true) rows.insert(row["name"]);
  }
  const Json report = profile(desk, {});
  CHECK(report["machine"]["peak_gflops"] > 0);
  CHECK(report["machine"]["peak_gb_per_s"] > 0);
  CHECK(report["machine"]["peak_cached_gb_per_s"] > 0);
  double share = 0;
  std::set<std::string> names;
  for (const auto& node : report["nodes"]) {
    INFO(node.dump());
    names.insert(node["name"]);
    share += node["share"].get<double>();
    REQUIRE(node["kernels"].size() == 1);
    CHECK(rows.count(node["kernels"][0]) == 1);
    const bool product = node["operator"] != "softmax";
    CHECK(node["macs"].is_null() == !product);
    CHECK(node["gflops"].is_null() == !product);
    // The weights may be packed into whole tiles.
    CHECK(node["bytes_read"] >= 4 * (product ? 64 * 64 + 64 * 32 : 64 * 32));
    CHECK(node["bytes_written"] == 4 * 64 * 32);
    CHECK(node["gb_per_s"] > 0);
    CHECK((node["bound_by"].is_null() || node["bound_by"] == "fma" || node["bound_by"] == "cache"));
    CHECK(node["bound_by"].is_null() == (node["attained"] == 0));
  }
  CHECK(names == std::set<std::string>{kHostileName, "y"});
  CHECK(share == Approx(1));

  const Json plain = profile(desk, {"--no-optimize"});
  for (const auto& node : plain["nodes"]) {
    CHECK(node["kernels"] == std::vector<std::string>{"evaluate"});
    if (node["operator"] == "matmul") CHECK(node["bytes_read"] == 4 * (64 * 64 + 64 * 32));
  }
  const Json generic = profile(desk, {"--isa", "generic"});
  for (const auto& node : generic["nodes"]) {
    const std::string kernel = node["kernels"][0];
    CHECK(kernel.substr(kernel.size() - 8) == "_generic");
  }
}

TEST_CASE("profile --trace-events writes an event for each step", "[cli]") {
  const Desk desk;
  put_hostile(desk);
  for (const std::string mode : {"--threads=1", "--no-optimize"}) {
    INFO(mode);
    const Json report = profile(desk, {mode, "--trace-events", "events.json"});
    const Json trace = Json::parse(read_whole_file(desk.at("events.json")));
    std::map<int, std::vector<std::string>> runs;
    double last = -1;
    for (const auto& event : trace["traceEvents"]) {
      if (event["ph"] == "M") continue;
      INFO(event.dump());
      CHECK(event["ph"] == "X");
      CHECK(event["ts"] >= last);  // one after the other
      CHECK(event["dur"] >= 0);
      last = event["ts"].get<double>() + event["dur"].get<double>() - 0.001;
      CHECK(event["cat"] == event["args"]["operator"]);
      if (mode == "--threads=1") CHECK(event["args"]["bytes_read"] > 0);
      runs[event["args"]["run"]].push_back(event["name"]);
    }
    CHECK(runs.size() == 5);
    CHECK(runs.rbegin()->first == report["runs"].get<int>() - 1);
    for (const auto& run : runs) {
      CHECK(std::set<std::string>(run.second.begin(), run.second.end()).count(kHostileName) == 1);
      CHECK(run.second == runs.begin()->second);
      CHECK(run.second.size() == report["nodes"].size());
    }
  }
}

TEST_CASE("profile --html escapes what comes from the model", "[cli]") {
  const Desk desk;
  put_hostile(desk);
  const Json report = profile(desk, {"--html", "page.html"});
  const std::string page = read_whole_file(desk.at("page.html"));
  CHECK(page.substr(0, 15) == "<!DOCTYPE html>");
  CHECK(count_of(page, std::string("<bdi>") + kEscaped + "</bdi>") == 1);
  CHECK(count_of(page, "<bdi>y</bdi>") == 1);
  for (const auto& node : report["nodes"]) {
    CHECK(count_of(page, "<bdi>" + node["kernels"][0].get<std::string>() + "</bdi>") == 1);
  }
  CHECK(count_of(page, "<bdi>softmax</bdi>") == 2);  // among the operators and among the nodes
  CHECK(count_of(page, "<script") == 1);             // its own
  CHECK(count_of(page, "alert('") == 0);
  for (const std::string outside : {"http:", "https:", "src=", "href=", "url(", "@import"}) {
    INFO(outside);
    CHECK(count_of(page, outside) == 0);
  }
  CHECK(count_of(page, "prefers-color-scheme: dark") == 1);
  // The rows of both tables have as many cells as the heads.
  const size_t heads = count_of(page, "<th") - count_of(page, "<thead");
  const size_t operators = report["operators"].size(), nodes = report["nodes"].size();
  CHECK(heads == 10 + 13);
  CHECK(count_of(page, "<td") == 10 * operators + 13 * nodes);

  const std::string folder = "a&b <i>.nnef";
  desk.model(
      folder,
      "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [2]);\n  y = exp(x);\n}\n");
  REQUIRE(desk.run({"profile", folder, "--input", "ones", "--min-time", "0", "--html", "b.html"}).status ==
          0);
  CHECK(count_of(read_whole_file(desk.at("b.html")), "<h1>a&amp;b &lt;i&gt;.nnef</h1>") == 1);
}

TEST_CASE("profile refuses files that cannot be written", "[cli]") {
  const Desk desk;
  for (const std::string flag : {"--html", "--trace-events"}) {
    INFO(flag);
    CHECK(desk.run({"profile", "add", "--input", "x.npy", "--min-time", "0", flag, "-"}).status == 2);
    const Outcome got =
        desk.run({"profile", "add", "--input", "x.npy", "--min-time", "0", flag, "no/such/file"});
    CHECK(got.status == 4);
    CHECK(got.says("file-unwritable"));
    CHECK(desk.run({"bench", "add", "--input", "x.npy", flag, "f"}).status == 2);
  }
}

}  // namespace nnefrun::test
