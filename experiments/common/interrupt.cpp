#include "experiments/common/interrupt.h"

#include <csignal>

namespace sae {
namespace {

// The one thing a signal handler may touch.
volatile std::sig_atomic_t interrupt_flag = 0;

void on_signal(int signal) {
  interrupt_flag = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return interrupt_flag != 0; }

void clear_interrupt() { interrupt_flag = 0; }

}  // namespace sae
