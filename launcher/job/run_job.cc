#include "launcher/job/run_job.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/backend/kv_page.h"
#include "launcher/host/shared_cores.h"
#include "launcher/job/engine_server.h"
#include "launcher/job/interrupts.h"
#include "launcher/job/lifeline.h"
#include "launcher/job/rank_environment.h"
#include "launcher/job/rank_job.h"
#include "launcher/job/remote_engine.h"
#include "launcher/job/with_mpi.h"
#include "launcher/options/model_name.h"
#include "launcher/output/load_bar.h"
#include "launcher/output/log.h"
#include "launcher/output/report.h"
#include "launcher/recovery/kept_memory.h"
#include "launcher/recovery/rank_watch.h"
#include "launcher/recovery/surviving_engine.h"

namespace longship {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// From the start of mpirun to the first words of the leader.
constexpr std::chrono::seconds kStartDeadline(60);
// Without a sign of life, until a rank counts as lost: soon where that costs a pause, late where it costs the job.
constexpr std::chrono::milliseconds kSilenceOfSurvivors(1000);
constexpr std::chrono::milliseconds kSilence(10000);
// From the request to end to the end of every rank.
constexpr std::chrono::seconds kFinishDeadline(5);
constexpr std::chrono::seconds kIdleWait(60);

std::string job_title(const std::string& model, const MeshShape& mesh) {
  return model_name(model) + " on " + std::to_string(mesh.ranks()) + (mesh.ranks() == 1 ? " rank" : " ranks") +
         " (tp " + std::to_string(mesh.tp) + ", pp " + std::to_string(mesh.pp) + ")";
}

// The options of a rank of this transport. All its ranks together.
EngineOptions options_of_rank(const EngineFlags& flags, const MeshShape& mesh, Transport& transport) {
  EngineOptions options = resolve_options(flags, mesh, transport.host_place().count);
  if (!flags.threads) options.threads = threads_of_rank(transport);
  return options;
}

// The leader prepares the front end; the others learn whether it could. The leader's own error needs no rank's name.
FrontEnd prepare_on_leader(Transport& transport, const PrepareFrontEnd& prepare) {
  FrontEnd front_end;
  std::optional<Error> failure;
  try {
    if (transport.leads()) {
      front_end = prepare();
    }
  } catch (const Error& error) {
    failure = error;
  }
  try {
    transport.control().agree(failure ? &*failure : nullptr, "front end");
  } catch (const Error& agreed) {
    throw failure ? *failure : agreed;
  }
  return front_end;
}

FrontEnd after_loading(LoadBar& bar, FrontEnd front_end) {
  return [&bar, front_end = std::move(front_end)](Engine& engine) {
    bar.finish();
    return front_end(engine);
  };
}

MeshShape launched_mesh(const EngineFlags& flags, const Transport& transport) {
  return resolve_mesh(flags.mesh, transport.ranks_per_host());
}

Error end_with(const LostRank& rank, AfterLoss after_loss) {
  const std::string cause = rank.how == Loss::kEnded      ? " was lost"
                            : rank.how == Loss::kStopped  ? " was stopped"
                            : rank.how == Loss::kLauncher ? " has ended"
                                                          : " is silent (stopped, or cut off by the network)";
  return {ErrorKind::kRank, rank.name + cause + ", and with it the job",
          after_loss == AfterLoss::kStartAgain ? "Without mpirun and srun longship starts lost ranks again and goes on."
                                               : "Start the job again."};
}

// What ranks do when the launcher ends them, as it does when one is lost: the leader says which, and its front end
// tells those who wait for answers; the others wait meanwhile, so that only the lost one is gone.
OnSignal launcher_signals(RankWatch& watch, const OnSignal& on_signal, std::shared_future<void> over,
                          std::chrono::seconds grace) {
  if (environment_rank() != 0) {
    return [&watch, over = std::move(over), grace](int) {
      watch.expect_end();
      return over.wait_for(grace) == std::future_status::ready;
    };
  }
  return [&](int signal) {
    if (const auto lost = watch.take_lost()) {
      print_error(end_with(*lost, AfterLoss::kStartAgain));
    }
    const bool taken = on_signal(signal);
    if (!taken) watch.say_ending();
    return taken;
  };
}

// Some launchers give no signal before they kill, and none ends a job for a rank that stands still or that the network
// has lost, for which the others would wait for long. A launcher that notices should do so before another rank ends:
// its exit code then says more.
class JobEnd {
 public:
  /// `on_signal`: null for a front end without any.
  JobEnd(RankWatch& watch, const OnSignal* on_signal, AfterLoss after_loss)
      : watch_(watch), on_signal_(on_signal), after_loss_(after_loss) {}

  [[noreturn]] void by_leader(const LostRank& rank) const {
    const Error error = end_with(rank, after_loss_);
    if (!rank.said) print_error(error);
    if (rank.how == Loss::kSilent) watch_.launcher().kill_after(kMpirunEnds);
    watch_.say_ending();
    if (on_signal_ != nullptr) (*on_signal_)(SIGTERM);
    if (rank.how == Loss::kEnded && !rank.said) std::this_thread::sleep_for(kLostFirst);
    end(error);
  }
  // Without the leader there is no job. Who says so is the first rank of each other host, if the launcher does not.
  [[noreturn]] void by_follower(const LostRank& rank) const {
    const Error error = end_with(rank, after_loss_);
    if (rank.said) {
      std::this_thread::sleep_for(kLostFirst);
    } else if (rank.how != Loss::kEnded || !watch_.end_expected_within(kLauncherActs)) {
      print_error(error);
      watch_.say_ending();
    }
    watch_.kill_watched();
    end(error);
  }

 private:
  [[noreturn]] static void end(const Error& error) {
    remove_mapped_segments();
    _exit(error.exit_code());
  }

  // Open MPI sends SIGTERM a second after it has noticed, unless a rank ends meanwhile.
  static constexpr std::chrono::milliseconds kLauncherActs{1300};
  // The launcher's exit code is that of the rank that it has seen end first.
  static constexpr std::chrono::milliseconds kLostFirst{300};
  // From the word of the loss; it waits for ever for a host that the network has cut off.
  static constexpr std::chrono::milliseconds kMpirunEnds{1300};

  RankWatch& watch_;
  const OnSignal* on_signal_;
  AfterLoss after_loss_;
};

int run_launched(const EngineFlags& flags, const PrepareFrontEnd& prepare, const OnSignal& on_signal,
                 AfterLoss after_loss, std::chrono::seconds grace) {
  RankWatch watch;
  std::optional<Interrupts> interrupts;  // before any other thread
  std::promise<void> over;               // gone before them, which ends their waiting
  if (after_loss == AfterLoss::kStartAgain) {
    interrupts.emplace(launcher_signals(watch, on_signal, over.get_future(), grace), [] {});
  }
  const JobEnd job_end(watch, interrupts ? &on_signal : nullptr, after_loss);
  return with_mpi(transport_options(flags.options), [&](Transport& transport) {
    watch.meet(transport);
    const RankGuard guard(
        watch, [&](const LostRank& rank) { transport.leads() ? job_end.by_leader(rank) : job_end.by_follower(rank); });
    const MeshShape mesh = launched_mesh(flags, transport);
    FrontEnd front_end = prepare_on_leader(transport, prepare);
    LoadBar bar(job_title(flags.model, mesh));
    const bool shows = transport.leads();
    const LoadReport report = [&](int64_t done, int64_t total) {
      if (shows) bar.update(done, total);
    };
    return run_rank(options_of_rank(flags, mesh, transport), transport, report,
                    after_loading(bar, std::move(front_end)));
  });
}

// The first ranks of a launched job, on a mesh of that size. The others wait at little cost.
void run_first_ranks(const EngineFlags& flags, const MeshShape& mesh, Transport& job, const FrontEnd& front_end) {
  if (const std::unique_ptr<Transport> part = job.first(mesh.ranks())) {
    LoadBar bar(job_title(flags.model, mesh));
    const LoadReport report = [&](int64_t done, int64_t total) {
      if (part->leads()) bar.update(done, total);
    };
    run_rank(options_of_rank(flags, mesh, *part), *part, report, after_loading(bar, front_end));
    part->control().agree(nullptr, "a mesh");
  }
  if (job.leads()) {
    job.control().publish({});
  } else {
    while (!job.control().receive(Clock::now() + kIdleWait)) {
    }
  }
}

int run_launched_meshes(const EngineFlags& flags, const std::vector<MeshShape>& meshes,
                        const std::function<FrontEnd(std::size_t)>& front_end, const std::function<int()>& finish) {
  return with_mpi(transport_options(flags.options), [&](Transport& transport) {
    for (const MeshShape& mesh : meshes) {
      if (mesh.ranks() > transport.size()) {
        throw Error(ErrorKind::kUsage,
                    std::to_string(mesh.ranks()) + " ranks are to be measured, but the launcher started " +
                        std::to_string(transport.size()),
                    "Start as many ranks as the largest mesh has.");
      }
    }
    for (std::size_t i = 0; i < meshes.size(); ++i) {
      run_first_ranks(flags, meshes[i], transport, front_end(i));
    }
    return transport.leads() ? finish() : 0;
  });
}

// The front end is made while weights load; if it cannot be, loading ends.
int run_alone(const EngineFlags& flags, const PrepareFrontEnd& prepare, const OnSignal& on_signal) {
  const Interrupts interrupts(on_signal, [] {});
  const MeshShape one;
  LoadBar bar(job_title(flags.model, one));
  std::future<FrontEnd> prepared = std::async(std::launch::async, prepare);
  FrontEnd front_end;
  const auto take = [&] {
    if (prepared.valid()) front_end = prepared.get();
  };
  const std::unique_ptr<Transport> transport = make_self_transport();
  const LoadReport report = [&](int64_t done, int64_t total) {
    bar.update(done, total);
    if (prepared.valid() && prepared.wait_for(std::chrono::seconds(0)) == std::future_status::ready) take();
  };
  return run_rank(resolve_options(flags, one, 1), *transport, report, [&](Engine& engine) {
    take();
    bar.finish();
    return front_end(engine);
  });
}

// Ranks that are children of this process, and the engine in them.
struct ChildRanks {
  ChildRanks(const EngineFlags& flags, const MeshShape& mesh, const std::vector<ChildProcess::Variable>& variables,
             std::chrono::milliseconds silence_limit)
      : bar(job_title(flags.model, mesh)),
        job(own_program(), rank_arguments(flags), mesh.ranks(), variables, silence_limit,
            [this](const LoadProgressReport& sum) { bar.update(sum.bytes_done, sum.bytes_total); }) {}

  static std::vector<std::string> rank_arguments(const EngineFlags& flags) {
    std::vector<std::string> arguments = engine_arguments(flags);
    arguments.insert(arguments.begin(), "rank");
    return arguments;
  }

  void connect() {
    FrameSocket& leader = job.leader(Clock::now() + kStartDeadline);
    engine.emplace(
        leader, [this](bool silent) { return silent ? job.loss_by_silence(kLeader) : job.loss(); },
        [this](const LoadProgressReport& progress) { job.note_progress(0, progress); });
    bar.finish();
  }

  static constexpr int kLeader = 0;

  LoadBar bar;
  RankJob job;
  std::optional<RemoteEngine> engine;
};

// The ranks that run now; a signal may have to kill them. Those that follow others go on with what these kept.
class PresentRanks {
 public:
  PresentRanks(const EngineFlags& flags, const MeshShape& mesh, AfterLoss after_loss) : flags_(flags), mesh_(mesh) {
    if (after_loss == AfterLoss::kStartAgain) {
      silence_limit_ = kSilenceOfSurvivors;
      kept_.emplace(mesh.ranks());
    }
  }

  std::shared_ptr<ChildRanks> start() {
    end_former();
    auto ranks = std::make_shared<ChildRanks>(flags_, mesh_, variables(), silence_limit_);
    set(ranks);
    ranks->connect();
    keep_sizes(ranks->engine->info());
    return ranks;
  }
  void finish() {
    if (const auto ranks = get()) ranks->job.finish(Clock::now() + kFinishDeadline);
  }
  void kill() {
    if (const auto ranks = get()) ranks->job.kill();
  }

 private:
  void end_former() {
    const std::shared_ptr<ChildRanks> former = get();
    if (former) {
      former->job.kill();
      if (kept_ && !former->job.left_sound_memory()) kept_->drop();
    }
    set(nullptr);
  }
  std::vector<ChildProcess::Variable> variables() const {
    return kept_ ? std::vector{kept_->variable()} : std::vector<ChildProcess::Variable>();
  }
  // What was accepted by ranks fits into those that follow them.
  void keep_sizes(const EngineInfo& info) {
    flags_.options.max_model_len = info.max_model_len;
    flags_.options.kv_pages = info.kv_tokens / kPageTokens;
  }
  std::shared_ptr<ChildRanks> get() {
    const std::lock_guard lock(mutex_);
    return ranks_;
  }
  void set(std::shared_ptr<ChildRanks> ranks) {
    std::shared_ptr<ChildRanks> before;
    const std::lock_guard lock(mutex_);
    before = std::exchange(ranks_, std::move(ranks));
  }

  EngineFlags flags_;
  MeshShape mesh_;
  std::chrono::milliseconds silence_limit_ = kSilence;
  std::optional<KeptMemory> kept_;
  std::mutex mutex_;
  std::shared_ptr<ChildRanks> ranks_;
};

void say_loss(const Error& loss, std::size_t requests) {
  Json fields;
  fields.set("requests", static_cast<int64_t>(requests));
  log_line(LogLevel::kWarning,
           loss.cause() + "; starting the ranks again, " + std::to_string(requests) + " requests go on", fields);
}

// Ranks of a batch system's job on several hosts can be had, but not from here.
void say_where_ranks_start(const MeshShape& mesh) {
  if (const int hosts = environment_hosts(); hosts > 1 && mesh.ranks() > 1) {
    log_line(LogLevel::kWarning, "all " + std::to_string(mesh.ranks()) +
                                     " ranks start on this host; this Slurm job has " + std::to_string(hosts) +
                                     ": srun --mpi=pmix longship ... uses them all");
  }
}

int run_with_children(const EngineFlags& flags, const MeshShape& mesh, const FrontEnd& front_end,
                      const OnSignal& on_signal, AfterLoss after_loss) {
  say_where_ranks_start(mesh);
  PresentRanks present(flags, mesh, after_loss);
  const Interrupts interrupts(on_signal, [&] { present.kill(); });
  const auto start = [&]() -> std::shared_ptr<Engine> {
    const std::shared_ptr<ChildRanks> ranks = present.start();
    return {ranks, &*ranks->engine};
  };
  std::shared_ptr<Engine> engine =
      after_loss == AfterLoss::kStartAgain ? std::make_shared<SurvivingEngine>(start, say_loss) : start();
  const int exit_code = front_end(*engine);
  engine->shutdown();
  engine.reset();
  present.finish();
  return exit_code;
}

}  // namespace

int run_job(EngineFlags flags, const PrepareFrontEnd& prepare, const OnSignal& on_signal, AfterLoss after_loss,
            std::chrono::seconds grace) {
  if (launched_as_rank()) {
    return run_launched(flags, prepare, on_signal, after_loss, grace);
  }
  const MeshShape mesh = resolve_mesh_alone(flags.mesh);
  if (mesh.ranks() == 1 && after_loss == AfterLoss::kEnd) {
    return run_alone(flags, prepare, on_signal);
  }
  const FrontEnd front_end = prepare();
  flags.model = fs::absolute(flags.model).native();
  flags.mesh = {.tp = mesh.tp, .pp = mesh.pp};
  return run_with_children(flags, mesh, front_end, on_signal, after_loss);
}

int run_meshes(const EngineFlags& flags, const std::vector<MeshShape>& meshes,
               const std::function<void(std::size_t, Engine&)>& measure, const std::function<int()>& finish) {
  const auto on_mesh = [&](std::size_t place) {
    return [&measure, place](Engine& engine) {
      measure(place, engine);
      return 0;
    };
  };
  if (launched_as_rank()) {
    return run_launched_meshes(flags, meshes, on_mesh, finish);
  }
  for (std::size_t i = 0; i < meshes.size(); ++i) {
    EngineFlags of_mesh = flags;
    of_mesh.mesh = {.tp = meshes[i].tp, .pp = meshes[i].pp};
    run_job(
        of_mesh, [&]() -> FrontEnd { return on_mesh(i); }, [](int) { return false; });
  }
  return finish();
}

int run_child_rank(const EngineFlags& flags) {
  const std::unique_ptr<Lifeline> lifeline = Lifeline::connect(environment_rank());
  lifeline->beat();
  const bool alone = resolve_mesh_alone(flags.mesh).ranks() == 1;
  if (!alone && !launched_as_rank()) {
    const Error error(ErrorKind::kRank, "the mpirun in PATH is not Open MPI's: its ranks do not know each other",
                      "Put the mpirun of Open MPI first in PATH.");
    lifeline->socket().send(FrameKind::kFailed, encode(error));
    return error.exit_code();
  }
  const auto run = [&](Transport& transport) {
    const bool leads = transport.leads();
    const LoadReport report = [&](int64_t done, int64_t total) { lifeline->report({done, total}); };
    const FrontEnd front_end = [&](Engine& engine) { return serve_engine(engine, lifeline->socket()); };
    try {
      const MeshShape mesh = launched_mesh(flags, transport);
      EngineOptions options = options_of_rank(flags, mesh, transport);
      options.kept = kept_files(transport.rank());
      return run_rank(options, transport, report, front_end);
    } catch (const Error& error) {
      if (leads) {
        lifeline->socket().send(FrameKind::kFailed, encode(error));
      }
      throw;
    }
  };
  return alone ? run(*make_self_transport()) : with_mpi(transport_options(flags.options), run);
}

}  // namespace longship
