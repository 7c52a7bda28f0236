"""What mx.nd has in MXNet 1.9.1 and not here, each with the nearest way in PyTorch."""

from __future__ import annotations

from ..uncovered import table

FUNCTIONS = table(
    "nd.",
    """
    BatchNorm_v1 Convolution_v1 Pooling_v1: nd.BatchNorm, nd.Convolution, nd.Pooling
    BilinearSampler GridGenerator SpatialTransformer: torch.nn.functional.grid_sample and affine_grid
    CTCLoss ctc_loss: torch.nn.functional.ctc_loss
    CachedOp Custom IdentityAttachKLSparseReg register: autograd.Function, or torch.autograd.Function
    Correlation: torch.nn.functional.unfold and a sum of products
    Crop: a slice, or torch.nn.functional.pad with negative widths
    LinearRegressionOutput MAERegressionOutput LogisticRegressionOutput SVMOutput: a loss of torch.nn.functional
    RNN: torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN
    ROIPooling: torchvision.ops.roi_pool
    SequenceLast SequenceReverse: torch.gather along the sequence
    adam_update ftml_update ftrl_update nag_mom_update rmsprop_update rmspropalex_update: torch.optim
    sgd_mom_update sgd_update signsgd_update signum_update lamb_update_phase1 lamb_update_phase2: torch.optim
    mp_lamb_update_phase1 mp_lamb_update_phase2: torch.optim
    mp_nag_mom_update mp_sgd_mom_update mp_sgd_update multi_lars multi_mp_sgd_mom_update: torch.optim
    multi_mp_sgd_update: torch.optim
    multi_sgd_mom_update multi_sgd_update preloaded_multi_mp_sgd_mom_update preloaded_multi_mp_sgd_update: torch.optim
    preloaded_multi_sgd_mom_update preloaded_multi_sgd_update: torch.optim
    all_finite multi_all_finite multi_sum_sq reset_arrays: torch.isfinite, torch.linalg.vector_norm, Tensor.zero_
    amp_cast amp_multicast: torch.autocast
    cast_storage sparse: torch.sparse
    col2im im2col: torch.nn.functional.fold and unfold
    contrib: torchvision.ops
    histogram: torch.histogram
    image imdecode: kernelwise.mxnet.image, or torchvision.transforms
    khatri_rao: torch.einsum
    linalg linalg_det linalg_extractdiag linalg_extracttrian linalg_gelqf linalg_gemm linalg_gemm2: torch.linalg
    linalg_inverse linalg_makediag linalg_maketrian linalg_potrf linalg_potri linalg_slogdet: torch.linalg
    linalg_sumlogdiag linalg_syrk linalg_trmm linalg_trsm: torch.linalg
    choose_element_0index fill_element_0index: nd.pick, or torch.gather and torch.scatter
    onehot_encode: nd.one_hot
    from_dlpack to_dlpack_for_read to_dlpack_for_write: torch.from_dlpack
    random_gamma random_poisson random_negative_binomial: torch.distributions
    random_generalized_negative_binomial: torch.distributions
    random_pdf_dirichlet random_pdf_exponential random_pdf_gamma random_pdf_negative_binomial: torch.distributions
    random_pdf_generalized_negative_binomial random_pdf_normal: torch.distributions
    random_pdf_poisson random_pdf_uniform: torch.distributions
    sample_gamma sample_poisson sample_negative_binomial sample_generalized_negative_binomial: torch.distributions
    ravel_multi_index unravel_index: torch.unravel_index
    utils: the functions of nd itself
    np npx numpy numpy_extension: torch's functions on tensors
    """,
)
METHODS = table(
    "NDArray.",
    """
    as_np_ndarray: Tensor, through torch.from_numpy(x.asnumpy())
    slice_assign slice_assign_scalar: x[begin:end] = value
    to_dlpack_for_read to_dlpack_for_write: torch.utils.dlpack.to_dlpack
    """,
)
