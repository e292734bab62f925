#!/usr/bin/env python3
"""Times another engine on a model, for threads.py: python3 bench/threads_peer.py ENGINE MODEL THREADS SECONDS

ENGINE is one of onnxruntime, openvino, ncnn, as far as this Python can import them. MODEL is our archive; the engine
reads the file beside it that has its format (model.onnx; model.ncnn.param and model.ncnn.bin), and the inputs
input_<k>_<name>.npy. All in f32, one stream, inputs prepared once. Prints {"min_ns": ..., "median_ns": ...} of one run.
"""
import json
import os
import statistics
import sys
import time

import numpy as np

from threads import input_files


def onnxruntime(folder, inputs, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(os.path.join(folder, "model.onnx"), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


def openvino(folder, inputs, threads):
    import openvino as ov
    core = ov.Core()
    model = core.read_model(os.path.join(folder, "model.onnx"))
    model.reshape({name: value.shape for name, value in inputs.items()})
    # it would take bf16 where the processor has AMX
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    for name, value in inputs.items():
        request.set_tensor(name, ov.Tensor(value))
    return request.infer


def ncnn(folder, inputs, threads):
    import ncnn as engine
    net = engine.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(os.path.join(folder, "model.ncnn.param")) or net.load_model(os.path.join(folder, "model.ncnn.bin")):
        sys.exit("ncnn refuses the model")
    # without the batch axis; cloned, since a Mat over foreign memory may not be changed in place
    mats = [engine.Mat(np.ascontiguousarray(v[0], np.int32 if v.dtype.kind == "i" else v.dtype)).clone()
            for v in inputs.values()]
    inputs_of_net, outputs_of_net = list(net.input_names()), list(net.output_names())

    def run():
        extractor = net.create_extractor()
        for name, mat in zip(inputs_of_net, mats):
            extractor.input(name, mat)
        for name in outputs_of_net:
            if extractor.extract(name)[0]:
                sys.exit(f"ncnn does not compute {name}")
    return run


ENGINES = {"onnxruntime": onnxruntime, "openvino": openvino, "ncnn": ncnn}


def main():
    engine, model, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    inputs = {name: np.load(file) for name, file in input_files(model)}
    run = ENGINES[engine](os.path.dirname(os.path.abspath(model)), inputs, threads)
    times = []
    for limit in (seconds / 4, seconds):  # the first is a warm-up
        times.clear()
        begin = time.perf_counter_ns()
        while not times or time.perf_counter_ns() - begin < limit * 1e9:
            before = time.perf_counter_ns()
            run()
            times.append(time.perf_counter_ns() - before)
    print(json.dumps({"min_ns": min(times), "median_ns": statistics.median(times)}))


if __name__ == "__main__":
    main()
