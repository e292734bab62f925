// How products with weights in blocks are computed, as the text of a model may say it: the property
// `nnefrun_accuracy`, 'exact' or 'fast', among those of the fragment tract_core_properties. tract keeps
// properties that it does not know.
#pragma once

#include "engine/graph/graph.h"
#include "nnef_parser/document.h"

namespace nnefrun {

// Whether the model asks for fast products. The last property of that name counts; other values than 'fast'
// are exact.
bool asks_for_fast(const Graph& graph);

// The property in a graph, in place of what it said before.
void record_accuracy(Graph& graph, bool fast);
// The same in a document, whose other properties stay.
void record_accuracy(Document& document, bool fast);

}  // namespace nnefrun
