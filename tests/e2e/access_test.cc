// Who may use a server: keys, hosts, origins, TLS; and what it logs.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/http_client.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

std::string in_folder(const std::string& name) {
  return fs::path(testing::TempDir()) / name;
}

std::string write_file(const std::string& name, const std::string& text, mode_t mode = 0600) {
  const std::string path = in_folder(name);
  std::ofstream(path) << text;
  chmod(path.c_str(), mode);
  return path;
}

bool wait_for_log(const Program& program, const std::string& text) {
  for (int i = 0; i < 1000; ++i) {
    if (program.err_so_far().find(text) != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << text << " is not in " << program.err_so_far();
  return false;
}

TEST(Access, KeysOfAFileAreReadAgain) {
  const std::string keys = write_file("keys", "old-key\n", 0644);
  Server server({"--api-key-file", keys});
  const auto status = [&](const std::string& path, const std::string& key) {
    return http(server.port(), "GET", path, "", key.empty() ? "" : "Authorization: Bearer " + key + "\r\n").status;
  };
  EXPECT_TRUE(wait_for_log(server.program(), "can be read by others"));
  for (const char* path : {"/v1/models", "/metrics", "/version", "/ping", "/load", "/cluster", "/nowhere", "/tokenize",
                           "/v1/chat/completions"}) {
    EXPECT_EQ(status(path, ""), 401) << path;
    EXPECT_EQ(status(path, "old-ke"), 401) << path;
  }
  EXPECT_EQ(status("/health", ""), 200);
  EXPECT_EQ(status("/live", ""), 200);
  EXPECT_EQ(status("/v1/models", "old-key"), 200);
  write_file("keys", "new-key\n");
  kill(server.program().pid(), SIGHUP);
  ASSERT_TRUE(wait_for_log(server.program(), "read again"));
  EXPECT_EQ(status("/v1/models", "old-key"), 401);
  EXPECT_EQ(status("/v1/models", "new-key"), 200);
  fs::remove(keys);
  kill(server.program().pid(), SIGHUP);
  ASSERT_TRUE(wait_for_log(server.program(), "stays"));
  EXPECT_EQ(status("/v1/models", "new-key"), 200);
}

TEST(Access, ThePageIsShownToABrowserThatSendsTheKeyAsPassword) {
  const Server server({"--api-key", "k"});
  const HttpReply refusal = http(server.port(), "GET", "/");
  EXPECT_EQ(refusal.status, 401);
  EXPECT_NE(refusal.head.find("WWW-Authenticate: Basic"), std::string::npos) << refusal.head;
  for (const char* path : {"/", "/cluster"}) {
    EXPECT_EQ(http(server.port(), "GET", path, "", "Authorization: Basic YW55b25lOms=\r\n").status, 200) << path;
  }
}

TEST(Banner, SaysWhereTheRanksAreAndWhatTheyHold) {
  Server server({"-tp", "2"});
  EXPECT_NE(server.program().err_so_far().find(": ranks 0, 1: stage 0, layers 0..2, weights "), std::string::npos)
      << server.program().err_so_far();
  EXPECT_EQ(server.program().err_so_far().find("Bearer"), std::string::npos) << "it asks for no key";
  server.post("/v1/completions", R"({"prompt":"a","max_tokens":20,"ignore_eos":true})");
  const std::string first = "longship:rank_step_seconds_total{model_name=\"llama-Q8_0.gguf\",rank=\"1\"";
  for (int i = 0; i < 200 && http(server.port(), "GET", "/metrics").body.find(first) == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string metrics = http(server.port(), "GET", "/metrics").body;
  EXPECT_NE(metrics.find(first), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("longship:recoveries_total{model_name=\"llama-Q8_0.gguf\"} 0"), std::string::npos);
}

TEST(Access, AKeyIsRefusedBeforeItsBodyIsRead) {
  const Server server({"--api-key", "k"});
  HttpConnection client(server.port());
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(client.reply().status, 401);
}

TEST(Access, NamesOfOthersAndPagesOfOthersAreKeptOut) {
  const Server server({"--allowed-origins", R"(["https://other.example", "https://chat.example"])"});
  const auto with = [&](const std::string& method, const std::string& headers) {
    HttpConnection client(server.port());
    client.send(method + " /version HTTP/1.1\r\n" + headers + "\r\n");
    return client.reply();
  };
  EXPECT_EQ(with("GET", "Host: localhost:1\r\n").status, 200);
  EXPECT_EQ(with("GET", "Host: rebound.example\r\n").status, 403);
  EXPECT_EQ(with("POST", "Host: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n").status, 403);
  const HttpReply preflight =
      with("OPTIONS", "Host: localhost\r\nOrigin: https://chat.example\r\nAccess-Control-Request-Method: POST\r\n");
  EXPECT_EQ(preflight.status, 200);
  EXPECT_NE(preflight.head.find("Access-Control-Allow-Origin: https://chat.example\r\n"), std::string::npos);
  EXPECT_NE(with("GET", "Host: localhost\r\nOrigin: https://chat.example\r\n").head.find("Access-Control-Allow-Origin"),
            std::string::npos);
}

TEST(Access, APortThatIsTakenIsNamed) {
  const Server server;
  const Outcome second = run(longship({"serve", served_model(), "--port", std::to_string(server.port())}));
  EXPECT_EQ(second.exit_code, 6);
  EXPECT_NE(second.err.find("--port"), std::string::npos) << second.err;
  EXPECT_EQ(run(longship({"serve", served_model(), "--host", "no.such.host.invalid", "--insecure-no-auth"})).exit_code,
            6);
}

// A self-signed certificate and its key in two files of this name.
std::pair<std::string, std::string> make_certificate(const std::string& name) {
  const std::string certificate = in_folder(name + ".crt");
  const std::string key = in_folder(name + ".key");
  const Outcome made = run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:localhost",
                            "-keyout", key, "-out", certificate});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  return {certificate, key};
}

TEST(Tls, CertificatesThatCannotBeUsedAreNamed) {
  const auto [certificate, key] = make_certificate("one");
  const auto [other, other_key] = make_certificate("other");
  const std::string text = write_file("text.pem", "no certificate\n");
  const std::vector<std::vector<std::string>> flags = {{"--ssl-certfile", in_folder("missing"), "--ssl-keyfile", key},
                                                       {"--ssl-certfile", text, "--ssl-keyfile", key},
                                                       {"--ssl-certfile", certificate, "--ssl-keyfile", text},
                                                       {"--ssl-certfile", certificate, "--ssl-keyfile", other_key},
                                                       {"--ssl-certfile", certificate},
                                                       {"--ssl-keyfile", key}};
  for (const std::vector<std::string>& words : flags) {
    std::vector<std::string> all = {"serve", served_model(), "--port", "0"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome outcome = run(longship(all));
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find("--ssl-"), std::string::npos) << outcome.err;
  }
}

TEST(Tls, TheSameServerThroughTls) {
  const auto [certificate, key] = make_certificate("server");
  Server server({"--ssl-certfile", certificate, "--ssl-keyfile", key, "--header-timeout", "1"});
  const std::string url = "https://localhost:" + std::to_string(server.port());
  const auto curl = [&](const std::string& trusted, std::vector<std::string> more) {
    more.insert(more.begin(), {"curl", "-sS", "--max-time", "20", "--noproxy", "*", "--cacert", trusted, "-H",
                               "Content-Type: application/json"});
    return run(more);
  };
  const std::string body = R"({"prompt":"The ship sails.","max_tokens":24,"temperature":0,"ignore_eos":true,"stream":)";
  const Outcome whole = curl(certificate, {"-d", body + "false}", url + "/v1/completions"});
  EXPECT_EQ(whole.exit_code, 0) << whole.err;
  std::string text;
  const Outcome stream = curl(certificate, {"-d", body + "true}", url + "/v1/completions"});
  for (const std::string& event : events_of(stream.out)) {
    if (event != "[DONE]") text += at(parse(event), {"choices", "0", "text"}).as_string();
  }
  EXPECT_EQ(text, at(parse(whole.out), {"choices", "0", "text"}).as_string());
  // Two requests of one connection, a large body, and a client that speaks no TLS.
  const Outcome two = curl(certificate, {url + "/live", url + "/live", "-w", "%{num_connects} "});
  EXPECT_EQ(two.out, R"({"status": "ok"}1 {"status": "ok"}0 )");
  const std::string large = write_file("large.json", R"({"prompt":")" + std::string(1000000, 'a') + R"("})");
  EXPECT_NE(curl(certificate, {"-d", "@" + large, url + "/tokenize"}).out.find("\"count\""), std::string::npos);
  HttpConnection plain(server.port());
  plain.send(http_text("GET", "/live", ""));
  EXPECT_EQ(plain.reply().status, 0);
  HttpConnection silent(server.port());
  EXPECT_EQ(silent.reply().status, 0);  // within the second that a handshake has
  const Outcome old = run({"openssl", "s_client", "-connect", "localhost:" + std::to_string(server.port()), "-tls1_1",
                           "-cipher", "DEFAULT@SECLEVEL=0"});
  EXPECT_NE(old.out.find("Cipher is (NONE)"), std::string::npos) << old.out;

  const auto [renewed, renewed_key] = make_certificate("renewed");
  EXPECT_NE(curl(renewed, {url + "/live"}).exit_code, 0);
  fs::copy_file(renewed, certificate, fs::copy_options::overwrite_existing);
  kill(server.program().pid(), SIGHUP);
  ASSERT_TRUE(wait_for_log(server.program(), "what was there before stays"));  // the key is not there yet
  fs::copy_file(renewed_key, key, fs::copy_options::overwrite_existing);
  kill(server.program().pid(), SIGHUP);
  ASSERT_TRUE(wait_for_log(server.program(), "read again"));
  EXPECT_EQ(curl(renewed, {url + "/live"}).out, R"({"status": "ok"})");
}

TEST(Options, ASeedAndATemplateOfTheServersOwn) {
  const std::string chat_template =
      write_file("template.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
  const Server server({"--seed", "7", "--chat-template", chat_template});
  const std::string prompt = R"({"prompt":"user: Sail!\n","max_tokens":8,"temperature":1)";
  const auto text = [&](const std::string& more) {
    return at(server.post("/v1/completions", prompt + more + "}"), {"choices", "0", "text"});
  };
  EXPECT_EQ(text(""), text(""));
  EXPECT_EQ(text(""), text(R"(,"seed":7)"));
  EXPECT_NE(text(""), text(R"(,"seed":8)"));
  const Json chat = server.post("/tokenize", R"({"messages":[{"role":"user","content":"Sail!"}]})");
  const Json plain = server.post("/tokenize", R"({"prompt":"user: Sail!\n","add_special_tokens":false})");
  EXPECT_EQ(at(chat, {"tokens"}), at(plain, {"tokens"}));
  const Outcome wrong =
      run(longship({"serve", served_model(), "--port", "0", "--chat-template", in_folder("missing")}));
  EXPECT_EQ(wrong.exit_code, 2) << wrong.err;
}

TEST(Log, OneLineForEachRequestWithoutWhatUsersWrite) {
  Server server({"--log-format", "json", "--log-requests", "-tp", "2"});
  const std::string body = R"({"prompt":"a secret","max_tokens":3,"temperature":0,"ignore_eos":true})";
  EXPECT_EQ(http(server.port(), "POST", "/v1/completions", body, "x-request-id: my-id\r\n").status, 200);
  EXPECT_EQ(http(server.port(), "GET", "/no\x80where").status, 404);
  kill(ranks_of(server.program().pid(), 2)[1], SIGKILL);
  EXPECT_TRUE(server.wait_for_metric("longship:recoveries_total", 1));
  const Outcome outcome = server.stop();
  EXPECT_EQ(outcome.err.find("secret"), std::string::npos);
  std::vector<Json> lines;
  std::istringstream text(outcome.err);
  for (std::string line; std::getline(text, line);) {
    lines.push_back(parse(line));
  }
  const auto of_route = [&](const std::string& route) {
    for (const Json& line : lines) {
      if (at(line, {"route"}) == Json(route)) return line;
    }
    return Json();
  };
  const Json completion = of_route("/v1/completions");
  EXPECT_EQ(at(completion, {"id"}), Json("my-id"));
  EXPECT_EQ(at(completion, {"status"}), Json(200));
  EXPECT_EQ(at(completion, {"completion_tokens"}), Json(3));
  EXPECT_GT(at(completion, {"prompt_tokens"}).as_int(), 0);
  EXPECT_GT(at(completion, {"first_token_s"}).as_double(), 0);
  EXPECT_GE(at(completion, {"total_s"}).as_double(), at(completion, {"first_token_s"}).as_double());
  const bool ready = std::any_of(lines.begin(), lines.end(), [](const Json& line) {
    return at(line, {"message"}).as_string().starts_with("Ready: http://") && at(line, {"kv_cache_tokens"}).is_int();
  });
  EXPECT_TRUE(ready) << outcome.err;
  for (const char* field : {"requests", "bytes"}) {  // of a loss, of loading
    EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [&](const Json& line) { return at(line, {field}).is_int(); }))
        << field;
  }
  EXPECT_EQ(at(of_route("/no\xef\xbf\xbdwhere"), {"status"}), Json(404));

  const Outcome failed =
      run(longship({"serve", served_model(), "--log-format", "json", "--port", "0", "--ssl-certfile", "none"}));
  EXPECT_EQ(at(parse(failed.err), {"exit_code"}), Json(2)) << failed.err;

  Server talkative({"--log-requests", "--log-prompts"});
  EXPECT_EQ(http(talkative.port(), "POST", "/v1/completions", body).status, 200);
  EXPECT_NE(talkative.stop().err.find("a secret"), std::string::npos);
}

}  // namespace
}  // namespace longship
