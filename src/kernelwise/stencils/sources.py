"""Where each stencil was published; what is marked "By definition" needs no authority but its formula."""

from __future__ import annotations

DECK = (
    "A. Zhang, Z. C. Lipton, M. Li and A. J. Smola, Dive into Deep Learning, chapter Convolutional Neural Networks, "
    "section Convolutions for Images, 'Object Edge Detection in Images': the kernel [1, -1]"
)
DIFFERENCES = (
    "M. Abramowitz and I. A. Stegun (eds), Handbook of Mathematical Functions, National Bureau of Standards, 1964, "
    "section 25.3 (formulas for derivatives and partial derivatives)"
)
SOBEL = (
    "I. Sobel and G. Feldman, A 3x3 isotropic gradient operator for image processing, talk at the Stanford Artificial "
    "Intelligence Project, 1968; in print: R. O. Duda and P. E. Hart, Pattern Classification and Scene Analysis, "
    "Wiley, 1973, pages 271-272"
)
SCHARR = (
    "H. Scharr, Optimale Operatoren in der Digitalen Bildverarbeitung, dissertation, University of Heidelberg, 2000; "
    "the integer weights 3, 10, 3: B. Jähne, H. Scharr and S. Körkel, Principles of filter design, in: Handbook of "
    "Computer Vision and Applications, volume 2, Academic Press, 1999"
)
PREWITT = (
    "J. M. S. Prewitt, Object enhancement and extraction, in: B. S. Lipkin and A. Rosenfeld (eds), Picture Processing "
    "and Psychopictorics, Academic Press, 1970, pages 75-149"
)
ROBERTS = (
    "L. G. Roberts, Machine perception of three-dimensional solids, in: J. T. Tippett et al. (eds), Optical and "
    "Electro-Optical Information Processing, MIT Press, 1965, pages 159-197"
)
FARID = (
    "H. Farid and E. P. Simoncelli, Differentiation of discrete multidimensional signals, IEEE Transactions on Image "
    "Processing 13(4), 2004, pages 496-508, table I: 5 taps, first order, with the six decimals printed there"
)
FREI_CHEN = (
    "W. Frei and C.-C. Chen, Fast boundary detection: a generalization and a new algorithm, IEEE Transactions on "
    "Computers C-26(10), 1977, pages 988-998"
)
KIRSCH = (
    "R. A. Kirsch, Computer determination of the constituent structure of biological images, Computers and Biomedical "
    "Research 4(3), 1971, pages 315-328"
)
ROBINSON = (
    "G. S. Robinson, Edge detection by compass gradient masks, Computer Graphics and Image Processing 6(5), 1977, "
    "pages 492-501"
)
LAPLACIAN_MASKS = (
    "R. C. Gonzalez and R. E. Woods, Digital Image Processing, 3rd edition, Prentice Hall, 2008, section 3.6.2 (the "
    "Laplacian for image sharpening)"
)
LINES = (
    "R. C. Gonzalez and R. E. Woods, Digital Image Processing, 3rd edition, Prentice Hall, 2008, section 10.2 (line "
    "detection masks)"
)
EMBOSS = "GIMP user manual, chapter Filters, section Convolution Matrix, the example 'Emboss'"
BINOMIAL = (
    "R. A. Haddad and A. N. Akansu, A class of fast Gaussian binomial filters for speech and image processing, IEEE "
    "Transactions on Signal Processing 39(3), 1991, pages 723-727"
)
CANNY = (
    "J. Canny, A computational approach to edge detection, IEEE Transactions on Pattern Analysis and Machine "
    "Intelligence PAMI-8(6), 1986, pages 679-698"
)
MARR_HILDRETH = (
    "D. Marr and E. Hildreth, Theory of edge detection, Proceedings of the Royal Society of London B 207, 1980, "
    "pages 187-217"
)
GABOR = (
    "J. G. Daugman, Uncertainty relation for resolution in space, spatial frequency, and orientation optimized by "
    "two-dimensional visual cortical filters, Journal of the Optical Society of America A 2(7), 1985, pages 1160-1169; "
    "sigma = 0.56 wavelengths (one octave) and gamma = 0.5: N. Petkov and P. Kruizinga, Computational models of visual "
    "neurons specialised in the detection of periodic and aperiodic oriented visual stimuli, Biological Cybernetics "
    "76(2), 1997, pages 83-96"
)
GAUSSIAN = "By definition: exp(-x^2 / (2 sigma^2)) sampled at the pixels, the sum made 1"
GAUSSIAN_OF_SIZE = (
    "By definition: exp(-x^2 / (2 sigma^2)) sampled at the pixels, the sum made 1; sigma from the rule of OpenCV's "
    "getGaussianKernel, 0.3 * ((size - 1) * 0.5 - 1) + 0.8"
)
BOX = "By definition: the mean of a window"
IDENTITY = "By definition: the unit impulse"
HIGHPASS = "By definition: the unit impulse minus the mean of the 3 x 3 window"
UNSHARP = "By definition: twice the unit impulse minus the 5 x 5 binomial kernel (unsharp masking of amount 1)"
DISK = "By definition: the share of each pixel's area inside the circle (the blur of an ideal lens out of focus)"
MOTION = (
    "By definition: the length of the path inside each pixel (the blur of uniform linear motion during an exposure)"
)
