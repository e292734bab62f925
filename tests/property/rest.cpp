#include "tests/property/generators.h"
namespace nnefrun::property {
std::span<const Generator> attention_generators(){return {};}
std::span<const Generator> stateful_generators(){return {};}
std::span<const Generator> quant_generators(){return {};}
std::span<const Generator> signal_generators(){return {};}
std::span<const Generator> chain_generators(){return {};}
std::span<const Exception> exceptions(){return {};}
}
